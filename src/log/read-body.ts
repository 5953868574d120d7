import { KINDS, OUTCOMES, TOKEN_BYTES } from './entry.ts';

/** What the verifier compares with the columns of a row, and what it needs to know of prunings. */
export interface Told {
  /** Milliseconds since 1970. */
  at: number;
  kind: string;
  person: string;
  personName: string;
  department: string | null;
  document: string;
  purpose: string;
  outcome: string;
  /** As PostgreSQL writes an array of bytea. */
  subjects: string;
  operation: string | null;
}

const [NULL, TEXT, INTEGER, BYTES, LIST] = [0x4e, 0x53, 0x49, 0x42, 0x4c];
const FIELDS_AT = 9;
const WORDS: ReadonlySet<string> = new Set<string>([...KINDS, ...OUTCOMES]);

/** Walks the bytes of an entry. The verifier's own: it reads the format that canonical.ts describes and shares nothing with what writes it. */
class Walk {
  private at = FIELDS_AT;
  private readonly body: Buffer;
  constructor(body: Buffer) {
    this.body = body;
  }

  private take(length: number): number {
    const from = this.at;
    this.at += length;
    if (this.at > this.body.length) throw new Error('cut off');
    return from;
  }

  private tag(expected: number): void {
    if (this.body[this.take(1)] !== expected) throw new Error('wrong type');
  }

  private size(): number {
    return this.body.readUInt32BE(this.take(4));
  }

  text(): string {
    this.tag(TEXT);
    const size = this.size();
    const from = this.take(size);
    return this.body.toString('utf8', from, this.at);
  }

  textOrNull(): string | null {
    if (this.body[this.at] !== NULL) return this.text();
    this.take(1);
    return null;
  }

  word(): string {
    const found = this.text();
    if (!WORDS.has(found)) throw new Error('unknown word');
    return found;
  }

  skipText(orNull = false): void {
    if (orNull && this.body[this.at] === NULL) {
      this.take(1);
      return;
    }
    this.tag(TEXT);
    this.take(this.size());
  }

  skipInteger(): void {
    this.tag(INTEGER);
    this.take(8);
  }

  /** Skips a list whose items are skipped by `item`. */
  skipList(item: () => void): void {
    this.tag(LIST);
    for (let left = this.size(); left > 0; left--) item();
  }

  tokens(): string {
    this.tag(LIST);
    const tokens: string[] = [];
    for (let left = this.size(); left > 0; left--) {
      this.tag(BYTES);
      if (this.size() !== TOKEN_BYTES) throw new Error('token of a wrong length');
      const from = this.take(TOKEN_BYTES);
      tokens.push(`"\\\\x${this.body.toString('hex', from, this.at)}"`);
    }
    return `{${tokens.join(',')}}`;
  }

  end(): void {
    if (this.at !== this.body.length) throw new Error('bytes left over');
  }
}

/** Reads an entry's bytes; undefined when they are none. */
export function readBody(body: Buffer): Told | undefined {
  if (body.length < FIELDS_AT || body[0] !== 1) return undefined;
  const walk = new Walk(body);
  const skipText = (): void => walk.skipText();
  try {
    const kind = walk.word();
    const person = walk.text();
    const personName = walk.text();
    const department = walk.textOrNull();
    for (const _ of ['role', 'region', 'actingFor']) walk.skipText(true);
    const purpose = walk.text();
    for (const _ of ['basis', 'case']) walk.skipText(true);
    const operation = walk.textOrNull();
    const document = walk.text();
    walk.skipText(); // variables
    for (const _ of ['fields', 'masked', 'denied']) walk.skipList(skipText);
    walk.skipList(() => walk.skipInteger()); // categories
    const subjects = walk.tokens();
    walk.skipInteger(); // rows
    walk.skipText(); // policy
    walk.skipList(skipText); // rules
    const outcome = walk.word();
    walk.skipText(); // code
    walk.skipInteger(); // duration
    walk.skipText(); // client
    walk.end();
    const at = Number(body.readBigInt64BE(1));
    return { at, kind, person, personName, department, document, purpose, outcome, subjects, operation };
  } catch {
    return undefined;
  }
}
