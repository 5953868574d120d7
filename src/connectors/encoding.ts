import { createReadStream } from 'node:fs';
import { StopStream } from '../errors.ts';

export type Encoding = 'utf-8' | 'gb18030';

/** So many CJK characters in a row of valid UTF-8 do not come about by chance in a file that is something else. */
const SURELY_UTF8 = 4;
const CHUNK_BYTES = 64 * 1024;

/**
 * UTF-8 (with or without a byte order mark) or GB18030, decided by reading the whole file before a record of it is taken.
 * StopStream names the offset of the first byte that fits neither. A file that begins as UTF-8 and breaks later, or breaks early and goes on
 * as UTF-8, is broken UTF-8: GB18030 reads almost any bytes, and would turn every name in the file into other characters.
 */
export async function encodingOf(path: string): Promise<Encoding> {
  const utf8 = await readThrough(path, 'utf-8');
  if (utf8.badAt === undefined) return 'utf-8';
  if (utf8.bom || utf8.cjk >= SURELY_UTF8 || (await isMostlyUtf8(path))) throw undecodable('UTF-8', utf8.badAt);
  const gb18030 = await readThrough(path, 'gb18030');
  if (gb18030.badAt === undefined) return 'gb18030';
  throw undecodable('GB18030', gb18030.badAt);
}

/** The text of a file in chunks, without byte order mark. StopStream: it cannot be read. */
export async function* textOf(path: string, encoding: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  for await (const chunk of bytesOf(path)) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

interface Reading {
  /** Offset of the byte at which decoding fails. */
  badAt: number | undefined;
  /** CJK characters before it. */
  cjk: number;
  bom: boolean;
}

/** A decoder does not say at which byte it fails, so the chunk that fails is read a second time, byte by byte. */
async function readThrough(path: string, encoding: Encoding, byByteFrom = Number.POSITIVE_INFINITY): Promise<Reading> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let offset = 0;
  let cjk = 0;
  let bom = false;
  for await (const chunk of bytesOf(path)) {
    if (offset === 0) bom = chunk.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
    const pieces = offset >= byByteFrom ? [...chunk].map((byte) => Uint8Array.of(byte)) : [chunk];
    for (const piece of pieces) {
      try {
        cjk += decoder.decode(piece, { stream: true }).match(/[\u4e00-\u9fff]/g)?.length ?? 0;
      } catch {
        return piece.length === 1 ? { badAt: offset, cjk, bom } : await readThrough(path, encoding, offset);
      }
      offset += piece.length;
    }
  }
  try {
    decoder.decode();
    return { badAt: undefined, cjk, bom };
  } catch {
    return { badAt: offset, cjk, bom };
  }
}

/** GB18030 text read as UTF-8 is mostly characters that are none. */
async function isMostlyUtf8(path: string): Promise<boolean> {
  const decoder = new TextDecoder('utf-8');
  let cjk = 0;
  let bad = 0;
  for await (const chunk of bytesOf(path)) {
    const text = decoder.decode(chunk, { stream: true });
    cjk += text.match(/[\u4e00-\u9fff]/g)?.length ?? 0;
    bad += text.match(/\ufffd/g)?.length ?? 0;
  }
  return cjk >= SURELY_UTF8 && cjk > bad;
}

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) yield chunk as Buffer;
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
    throw new StopStream(`file-unreadable: 文件无法读取（${code}）`);
  }
}

function undecodable(encoding: string, offset: number): StopStream {
  return new StopStream(`bad-encoding: 文件在第 ${offset} 字节处不是有效的 ${encoding} 编码，未读取任何记录`);
}
