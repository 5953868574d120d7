import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { link } from '../src/log/chain.ts';
import { verifyLog } from '../src/log/verify.ts';
import type { Pool } from '../src/store/sql.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, sound } from './setup/log.ts';

let database: LogDatabase;
let pool: Pool;
let open: LogDatabase['open'];
let tamper: LogDatabase['tamper'];
let partition: string;

beforeAll(async () => {
  database = await logDatabase();
  ({ pool, open, tamper, partition } = database);
});
afterAll(() => database.drop());
beforeEach(() => database.clear());

describe('a change to the query log', () => {
  const at = 'seq = 10';
  const swap = `case seq when 10 then 11::bigint when 11 then 10 end`;
  const changes: [string, string, string][] = [
    ['a column', `update query_log set person = 'u-x' where ${at}`, 'the column person is not what the entry says'],
    [
      'null made empty',
      `update query_log set department = '' where seq = (select min(seq) from query_log where department is null)`,
      'the column department is not what the entry says',
    ],
    [
      'a subject removed',
      `update query_log set subjects = subjects[2:] where seq = (select min(seq) from query_log where cardinality(subjects) > 0)`,
      'the column subjects is not what the entry says',
    ],
    [
      'a byte of the entry',
      `update query_log set body = set_byte(body, 40, get_byte(body, 40) # 1) where ${at}`,
      'the hash does not follow',
    ],
    ['an entry cut short', `update query_log set body = substr(body, 1, 50) where ${at}`, 'the entry cannot be read'],
    ['a bit of the hash', `update query_log set hash = set_byte(hash, 3, get_byte(hash, 3) # 1) where ${at}`, 'the hash does not follow'],
    ['a hash cut short', `update query_log set hash = substr(hash, 1, 16) where ${at}`, 'the hash does not follow'],
    ['an earlier time', `update query_log set at = at - interval '1 millisecond' where ${at}`, 'the column at is not what the entry says'],
    ['a later time', `update query_log set at = at + interval '1 microsecond' where ${at}`, 'the column at is not what the entry says'],
    ['an entry deleted', `delete from query_log where ${at}`, '1 entries before it are missing'],
    ['the first entry deleted', `delete from query_log where seq = 1`, '1 entries before it are missing'],
    ['the end of a closed chain cut off', `delete from query_log where seq > 15`, 'the chain does not end where it was closed'],
    [
      'two entries swapped',
      `update query_log q set body = o.body, hash = o.hash from query_log o where o.seq = ${swap.replaceAll('seq', 'q.seq')}`,
      'the hash',
    ],
    ['an entry repeated', duplicate(`seq, at + interval '1 microsecond'`), 'the sequence number is there twice'],
    ['an entry appended', duplicate(`seq + 11, at`), 'the hash does not follow'],
    ['an entry of an unknown writer', duplicate('seq, at', 'writer + 1'), 'the writer is unknown'],
    ['a document', `update log_document set text = text || ' '`, 'the document is missing or not what was hashed'],
    ['a document removed', `delete from log_document`, 'the document is missing or not what was hashed'],
    ['a writer removed', `delete from log_writer`, 'the writer is unknown'],
    ['the boot of a writer', `update log_writer set boot_id = gen_random_uuid()`, 'the genesis is not that of the writer'],
    ['the name of a writer', `update log_writer set node = 'other'`, 'the genesis is not that of the writer'],
    ['the start of a writer', `update log_writer set started_at = started_at - interval '1 hour'`, 'the genesis is not that of the writer'],
    ['the suite of a writer', `update log_writer set suite = 'sm3'`, 'the hash does not follow'],
  ];

  function duplicate(place: string, writer = 'writer'): string {
    return `insert into query_log (writer, seq, at, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)
            select ${writer}, ${place}, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects from query_log where seq = 10`;
  }

  it.each(changes)('P3 is found: %s', async (_, statement, what) => {
    const log = await open();
    await fill(log, 20);
    await log.close();
    expect(await verifyLog(pool)).toEqual(sound(20));
    await tamper(statement);
    const { verified, faults } = await verifyLog(pool, { batch: 8 });
    expect(verified).toBe(false);
    expect(faults.map((fault) => fault.what)).toContainEqual(expect.stringContaining(what));
  });

  it('P3 is found: an entry replaced together with its hash, at the entry after it', async () => {
    const log = await open();
    const receipts = await fill(log, 12);
    await log.close();
    const { rows } = await pool.query<{ body: Buffer }>('select body from query_log where seq = 10');
    const body = Buffer.from(rows[0]!.body);
    body.writeUInt8(body.readUInt8(body.length - 1) ^ 1, body.length - 1);
    await tamper('update query_log set body = $1, hash = $2 where seq = 10', [
      body,
      link('sha256', Buffer.from(receipts.find((receipt) => receipt.seq === 9)!.hash, 'hex'), log.writer, 10, body),
    ]);
    expect((await verifyLog(pool)).faults).toEqual([
      { writer: log.writer, seq: 11, what: 'the hash does not follow from the entry before' },
    ]);
  });

  it('P3 is refused by the database before it has to be found', async () => {
    const log = await open();
    await fill(log, 2);
    await log.close();
    for (const statement of [
      `update query_log set person = 'x'`,
      'delete from query_log',
      'truncate query_log',
      `truncate ${partition}`,
      `delete from ${partition}`,
      'delete from log_document',
      `update log_writer set node = 'x'`,
      'update log_writer set closed_seq = 1',
      'delete from log_writer',
    ]) {
      await expect(pool.query(statement)).rejects.toThrow('append-only');
    }
  });

  it('P3 leaves no column out: each one is the place in the chain, the bytes, or compared with them', async () => {
    const { rows } = await pool.query<{ column_name: string }>(
      `select column_name from information_schema.columns where table_name = 'query_log'`,
    );
    const chained = ['writer', 'seq', 'body', 'hash'];
    const compared = ['at', 'kind', 'person', 'person_name', 'department', 'document', 'purpose', 'outcome', 'subjects'];
    expect(rows.map((row) => row.column_name).sort()).toEqual([...chained, ...compared].sort());
  });
});
