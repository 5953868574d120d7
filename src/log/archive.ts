import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Sql } from '../store/sql.ts';
import type { Head, LogSuite } from './chain.ts';
import { link } from './chain.ts';
import { decodeCheckpoint } from './checkpoint.ts';
import { boundsOf } from './months.ts';
import type { PublicKey, Signer } from './signature.ts';

interface Signed {
  n: number;
  body: string;
  key: string;
  signature: string;
}

/** First line of an archive. The checkpoints say where each chain stood before the month and after it; bytes in base64. */
interface Header {
  month: string;
  opening: Signed | null;
  closing: Signed;
  /** [id, suite, genesis] of every writer with entries in the month. */
  writers: [number, LogSuite, string][];
}

/** Every other line: writer, seq, instant, body, hash. */
type Line = [number, number, string, string, string];

const PAGE = 2000;

/**
 * Writes the entries of a closed month into `query_log_YYYY_MM.jsonl.gz` of a folder, with the closing checkpoints around it, and the signature of the
 * file beside it; returns the name, the number of entries and the hash of the file. Throws when the entries are not those that were closed.
 */
export async function writeArchive(
  sql: Sql,
  month: string,
  folder: string,
  signer: Signer,
): Promise<{ month: string; rows: number; file: string; hash: string }> {
  const file = `query_log_${month.replace('-', '_')}.jsonl.gz`;
  const path = join(folder, file);
  const header = await headerOf(sql, month);
  const chains = openChains(header);
  let rows = 0;
  async function* lines(): AsyncGenerator<string> {
    yield `${JSON.stringify(header)}\n`;
    for await (const line of entriesOf(sql, month)) {
      chains.take(line);
      rows++;
      yield `${JSON.stringify(line)}\n`;
    }
  }
  await pipeline(Readable.from(lines()), createGzip(), createWriteStream(path, { mode: 0o600, flush: true }));
  chains.end();
  const hash = await hashOf(path);
  writeFileSync(
    `${path}.sig`,
    JSON.stringify({ hash, key: signer.keyId, signature: signer.sign('archive', Buffer.from(hash)).toString('base64') }),
    {
      flush: true,
    },
  );
  return { month, rows, file, hash };
}

/** Checks an archive with public keys alone; returns the number of its entries. Throws an Error that says what is wrong. */
export async function verifyArchive(path: string, keys: readonly PublicKey[]): Promise<number> {
  const signed = JSON.parse(readFileSync(`${path}.sig`, 'utf8')) as { hash: string; key: string; signature: string };
  const by = (id: string): PublicKey | undefined => keys.find(({ keyId }) => keyId === id);
  if (!by(signed.key)?.verify('archive', Buffer.from(signed.hash), Buffer.from(signed.signature, 'base64')))
    throw new Error('no known key has signed the archive');
  if ((await hashOf(path)) !== signed.hash) throw new Error('the archive is not what was signed');
  let chains: Chains | undefined;
  let rows = 0;
  for await (const text of createInterface({ input: createReadStream(path).pipe(createGunzip()) })) {
    if (chains) {
      chains.take(JSON.parse(text) as Line);
      rows++;
      continue;
    }
    const header = JSON.parse(text) as Header;
    for (const checkpoint of [header.opening, header.closing])
      if (
        checkpoint &&
        !by(checkpoint.key)?.verify('checkpoint', Buffer.from(checkpoint.body, 'base64'), Buffer.from(checkpoint.signature, 'base64'))
      )
        throw new Error(`no known key has signed checkpoint ${checkpoint.n}`);
    chains = openChains(header);
  }
  chains?.end();
  return rows;
}

/** SHA-256 of a file, in hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  if (!existsSync(path)) throw new Error(`${path} is not there`);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

interface Chains {
  take(line: Line): void;
  end(): void;
}

/** Follows the chains of a month from the opening to the closing; throws at the first entry that does not follow. */
function openChains({ opening, closing, writers, month }: Header): Chains {
  const headsOf = (signed: Signed | null) => (signed ? decodeCheckpoint(Buffer.from(signed.body, 'base64')).heads : []);
  const genesis = new Map(writers.map(([id, suite, hash]) => [id, { suite, hash: Buffer.from(hash, 'base64') }]));
  const heads = new Map<number, Head>(headsOf(opening).map(({ writer, seq, hash }) => [writer, { seq, hash }]));
  return {
    take([writer, seq, , body, hash]) {
      const begun = genesis.get(writer);
      const head = heads.get(writer) ?? { seq: 0, hash: begun?.hash ?? Buffer.alloc(32) };
      const follows =
        begun && seq === head.seq + 1 && link(begun.suite, head.hash, writer, seq, Buffer.from(body, 'base64')).toString('base64') === hash;
      if (!follows) throw new Error(`entry ${writer}-${seq} of ${month} does not follow`);
      heads.set(writer, { seq, hash: Buffer.from(hash, 'base64') });
    },
    end() {
      for (const { writer, seq, hash } of headsOf(closing)) {
        const head = heads.get(writer);
        if (head?.seq !== seq || !head.hash.equals(hash)) throw new Error(`writer ${writer} does not end ${month} where it was closed`);
        heads.delete(writer);
      }
      if (heads.size > 0) throw new Error(`${month} holds entries that it was closed without`);
    },
  };
}

async function headerOf(sql: Sql, month: string): Promise<Header> {
  const { start, end } = boundsOf(month);
  const before = new Date(start.getTime() - 1).toISOString().slice(0, 7);
  const { rows } = await sql.query<{ month: string; n: number; body: Buffer; key: string; signature: Buffer }>(
    'select month, n, body, key, signature from log_checkpoint where month = any($1)',
    [[before, month]],
  );
  const signed = (wanted: string): Signed | null => {
    const found = rows.find((row) => row.month === wanted);
    return found
      ? { n: found.n, body: found.body.toString('base64'), key: found.key, signature: found.signature.toString('base64') }
      : null;
  };
  const closing = signed(month);
  if (!closing) throw new Error(`${month} is not closed yet`);
  const writers = await sql.query<{ id: number; suite: LogSuite; genesis: Buffer }>(
    `select id, suite, genesis from log_writer as w where exists (select from query_log where writer = w.id and at >= $1 and at < $2) order by id`,
    [start.toISOString(), end.toISOString()],
  );
  return {
    month,
    opening: signed(before),
    closing,
    writers: writers.rows.map(({ id, suite, genesis }) => [id, suite, genesis.toString('base64')]),
  };
}

async function* entriesOf(sql: Sql, month: string): AsyncGenerator<Line> {
  const { start, end } = boundsOf(month);
  let [writer, seq] = [0, 0];
  for (;;) {
    const { rows } = await sql.query<{ writer: number; seq: number; at: string; body: Buffer; hash: Buffer }>(
      `select writer, seq, at, body, hash from query_log where at >= $1 and at < $2 and (writer, seq) > ($3, $4) order by writer, seq limit $5`,
      [start.toISOString(), end.toISOString(), writer, seq, PAGE],
    );
    for (const row of rows) yield [row.writer, row.seq, row.at, row.body.toString('base64'), row.hash.toString('base64')];
    const last = rows.at(-1);
    if (!last) return;
    [writer, seq] = [last.writer, last.seq];
  }
}
