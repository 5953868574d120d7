/** Node reads GB18030 but cannot write it: the two-byte part is turned round once, the four-byte part beyond the BMP is arithmetic. */
let table: Map<string, Buffer> | undefined;

/** Text as GB18030. A character of the BMP that needs four bytes becomes `?`. */
export function toGb18030(text: string): Buffer {
  table ??= twoBytes();
  const known = table;
  return Buffer.concat([...text].map((character) => known.get(character) ?? single(character.codePointAt(0) ?? 0)));
}

function single(code: number): Buffer {
  if (code < 0x80) return Buffer.of(code);
  if (code < 0x1_00_00) return Buffer.from('?');
  const place = code - 0x1_00_00;
  return Buffer.of(
    0x90 + Math.floor(place / 12_600),
    0x30 + (Math.floor(place / 1260) % 10),
    0x81 + (Math.floor(place / 10) % 126),
    0x30 + (place % 10),
  );
}

function twoBytes(): Map<string, Buffer> {
  const decoder = new TextDecoder('gb18030');
  const found = new Map<string, Buffer>();
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) {
      if (trail === 0x7f) continue;
      const bytes = Buffer.of(lead, trail);
      const text = decoder.decode(bytes);
      if ([...text].length === 1 && text !== '\uFFFD') found.set(text, bytes);
    }
  }
  return found;
}
