/**
 * What every pull stream of every connector must do, checked over its fixture: the rows of the sandbox, or `fixtures/CONNECTOR-STREAM.csv`. A new
 * YAML needs one of the two, and nothing else here.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from '../src/connectors/contract.ts';
import { pullFile } from '../src/connectors/file.ts';
import { RejectRecord, RetryLater, StopStream } from '../src/errors.ts';
import { type CompiledMapping, compileMapping } from '../src/mapping/compile.ts';
import { contentOf, type MappedRecord } from '../src/mapping/record.ts';
import { compileDictionary } from '../src/mapping/dictionary.ts';
import { dictionaryStreams, pullStreams } from '../src/model/load.ts';
import type { Connector, Mapping, PullStream, Value } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { FRONT_DATABASE, RETURN_FLOW } from '../src/sandbox/tables.ts';
import { applyDictionaryPage } from '../src/store/page.ts';
import { faultsOfRecord } from './setup/catalog-check.ts';
import { type Double, doubleOf, type RawRow } from './setup/doubles.ts';
import { apply, inRun, MODEL, openStore, pageOf, type Store, TODAY } from './setup/store.ts';

const data = generate({ seed: 7, organisations: 150, persons: 300 });
const MOST_ROWS = 200;
/** Planted in the sandbox to be reported. */
const PLANTED_KEY = 'NEW_FIELD';

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());

async function fixtureOf(name: string): Promise<RawRow[]> {
  const rows = data.streams.get(name) ?? data.onDemand.get(name);
  if (rows !== undefined) return rows.slice(-MOST_ROWS);
  const file = fileURLToPath(new URL(`fixtures/${name.replace('/', '-')}.csv`, import.meta.url));
  if (!existsSync(file)) return [];
  const found: RawRow[] = [];
  for await (const page of pullFile(file, null, { now: () => new Date() })) found.push(...page.records.map((record) => record.data));
  return found;
}

/** Streams with a transport: what people enter by hand is no platform's. */
const STREAMS = pullStreams(MODEL)
  .filter((stream) => stream.via.kind !== 'manual')
  .map((stream) => [`${stream.connector}/${stream.id}`, stream] as const);

describe.each(STREAMS)('%s', (name, stream) => {
  const { map }: CompiledMapping = compileMapping(MODEL, stream);
  let rows: RawRow[];
  let good: { row: RawRow; record: MappedRecord }[];
  let double: Double;

  beforeAll(async () => {
    rows = await fixtureOf(name);
    if (rows.length === 0) throw new Error(`${name} has no fixture: rows in the sandbox, or test/fixtures/${name.replace('/', '-')}.csv`);
    good = rows.flatMap((row) => {
      const record = mapped(map, row);
      return record instanceof RejectRecord ? [] : [{ row, record }];
    });
    double = await doubleOf(MODEL.connectors.get(stream.connector) as Connector, stream, rows);
  });
  afterAll(() => double?.close());

  const failure = async (): Promise<unknown> => {
    try {
      await collect(double.pages());
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it('has a fixture of at least three rows, most of which are taken', () => {
    expect(rows.length).toBeGreaterThanOrEqual(3);
    expect(good.length).toBeGreaterThan(rows.length / 2);
  });

  it('P5 reads all its pages to an end that only the last one says', async () => {
    await double.behave('well');
    const pages = await collect(double.pages());
    expect(pages.flatMap((page) => page.records)).toHaveLength(rows.length);
    expect(pages.flatMap((page) => page.records).filter((record) => record.broken)).toEqual([]);
    expect(pages.map((page) => page.last)).toEqual(pages.map((_, i) => i === pages.length - 1));
  });

  it('P5 goes on after a stop from the cursor of its first page, and misses nothing', async () => {
    await double.behave('well');
    const read: Page[] = [];
    for await (const page of double.pages()) {
      await page.ack?.();
      read.push(page);
      break;
    }
    const cursor = JSON.parse(JSON.stringify(read[0]?.cursor ?? null)) as Page['cursor'];
    if (!read[0]?.last) read.push(...(await collect(double.pages({ cursor }))));
    const keys = new Set(read.flatMap((page) => page.records.map((record) => keyOf(stream, record.data))));
    expect(keys).toEqual(new Set(rows.map((row) => keyOf(stream, row))));
  });

  it('P5 a page that comes again changes nothing', async () => {
    for (const { row, record } of good) expect(contentOf(map(row, TODAY))).toBe(contentOf(record));
    const page = () => pageOf(good.map(({ row }) => map(row, TODAY)));
    const [first, second] = await inRun(store, stream, async (run) => [
      await apply(store, stream, run, page()),
      await apply(store, stream, run, page()),
    ]);
    expect(first.stored).toBeGreaterThan(0);
    expect(first.stored + first.unchanged + first.issues).toBe(good.length);
    expect([second.stored, second.issues, second.queued]).toEqual([0, first.issues, 0]);
  });

  it('P11 refuses a record without a required key by the rule `required`', () => {
    const seen = new Set<string>();
    for (const { row, record } of good) {
      const taker = takerOf(stream, record);
      for (const columns of requiredColumns(taker).filter((one) => !seen.has(one.join()))) {
        if (columns.every((column) => blank(row[column]))) continue;
        seen.add(columns.join());
        const refusal = mapped(map, without(row, columns));
        expect([columns, refusal instanceof RejectRecord]).toEqual([columns, true]);
        expect(rulesFor(stream, taker, columns)).toContain((refusal as RejectRecord).rule);
      }
    }
    expect(seen.size).toBeGreaterThan(0);
  });

  it('HN-13 refuses a record that identifies nobody', () => {
    const [{ row, record } = { row: {}, record: undefined }] = good;
    const columns = record ? takerOf(stream, record).subject.identifiers.flatMap(({ value }) => value.from) : [];
    const refusal = mapped(map, without(row, columns));
    expect(refusal).toBeInstanceOf(RejectRecord);
    expect(['no-identifier', 'required']).toContain((refusal as RejectRecord).rule);
  });

  it('P11 reports a key that nobody mapped or ignored', () => {
    const [first] = good;
    expect(map({ ...first?.row, A_NEW_KEY: '1' }, TODAY).unknownKeys).toContain('A_NEW_KEY');
  });

  it('HN-16 maps or ignores every key of the source by name', () => {
    const columns = [...RETURN_FLOW, ...FRONT_DATABASE].find((table) => table.stream === name)?.columns.trim() ?? '';
    const keys = [...columns.split(/\s+/).map((column) => column.split(':')[0] ?? ''), ...rows.flatMap((row) => Object.keys(row))];
    const all = Object.fromEntries(keys.filter((key) => key !== '' && key !== PLANTED_KEY).map((key) => [key, null]));
    const known = without(good[0]?.row ?? {}, [PLANTED_KEY]);
    expect(map({ ...all, ...known }, TODAY).unknownKeys).toEqual([]);
  });

  it('HN-14 makes records that the catalog allows: category, kind, fields, types, codes, lengths', () => {
    for (const { record } of good) expect(faultsOfRecord(MODEL, record)).toEqual([]);
  });

  it('P18 is tried again later when the platform is busy or away', async () => {
    await double.behave('busy');
    expect(await failure()).toBeInstanceOf(RetryLater);
  });

  it('P18 stops when the platform refuses it, after at most one new login', async () => {
    await double.behave('refusing');
    const before = double.logins();
    expect(await failure()).toBeInstanceOf(StopStream);
    expect(double.logins() - before).toBeLessThanOrEqual(2);
  });

  it('P5 comes to an end although the platform gives the same again for ever', async () => {
    await double.behave('looping');
    let pages = 0;
    const read = async () => {
      for await (const page of double.pages()) {
        pages += 1;
        await page.ack?.();
        if (pages > 1000) throw new Error('endless');
      }
    };
    if (double.mostPages === undefined) await expect(read()).rejects.toBeInstanceOf(StopStream);
    else await read();
    expect(pages).toBeLessThanOrEqual(double.mostPages ?? 1);
  });
});

const DICTIONARIES = dictionaryStreams(MODEL).map((stream) => [`${stream.connector}/${stream.id}`, stream] as const);

describe.each(DICTIONARIES)('the code table %s', (name, stream) => {
  const { map } = compileDictionary(stream);
  const { dictionary } = stream;
  let rows: RawRow[];
  let double: Double;

  beforeAll(async () => {
    rows = await fixtureOf(name);
    if (rows.length === 0) throw new Error(`${name} has no fixture: rows in the sandbox, or test/fixtures/${name.replace('/', '-')}.csv`);
    double = await doubleOf(MODEL.connectors.get(stream.connector) as Connector, stream, rows);
  });
  afterAll(() => double?.close());

  const valueOf = (row: RawRow): string => {
    const { type, code, region } = map(row).value;
    return JSON.stringify([type, code, region]);
  };
  const storePage = (values: RawRow[]) =>
    inRun(store, stream, (run) =>
      applyDictionaryPage(store.pool, store.keys, stream, run, { values: values.map((row) => map(row).value), issues: [], cursor: null }),
    );

  it('P5 reads all its pages to an end, and misses nothing after a stop', async () => {
    await double.behave('well');
    const pages = await collect(double.pages());
    expect(pages.flatMap((page) => page.records.filter((record) => record.broken))).toEqual([]);
    expect(pages.flatMap((page) => page.records)).toHaveLength(rows.length);
    expect(pages.map((page) => page.last)).toEqual(pages.map((_, i) => i === pages.length - 1));
    const cursor = JSON.parse(JSON.stringify(pages[0]?.cursor ?? null)) as Page['cursor'];
    const rest = pages[0]?.last ? [] : await collect(double.pages({ cursor }));
    const told = [...(pages[0]?.records ?? []), ...rest.flatMap((page) => page.records)].map(({ data: row }) => valueOf(row));
    expect(new Set(told)).toEqual(new Set(rows.map(valueOf)));
  });

  it('P5 a page that comes again changes nothing: in = stored + unchanged + issues', async () => {
    const [first, second] = [await storePage(rows), await storePage(rows)];
    expect(first.stored).toBeGreaterThan(0);
    expect(first.stored + first.unchanged + first.issues).toBe(rows.length);
    expect([second.stored, second.unchanged]).toEqual([0, rows.length]);
  });

  it('P11 refuses a value without type, code or name, and reports a key that nobody mapped or ignored', () => {
    const [row = {}] = rows;
    for (const { from, literal } of [dictionary.type, dictionary.code, dictionary.name]) {
      if (literal !== undefined) continue;
      expect(() => map(without(row, from))).toThrow(RejectRecord);
    }
    expect(map({ ...row, A_NEW_KEY: '1' }).unknownKeys).toEqual(['A_NEW_KEY']);
    const columns = RETURN_FLOW.find((table) => table.stream === name)?.columns.trim() ?? '';
    const all = columns.split(/\s+/).map((column) => [column.split(':')[0] ?? '', null] as const);
    expect(map({ ...Object.fromEntries(all.filter(([key]) => key !== '')), ...row }).unknownKeys).toEqual([]);
  });

  it('P18 is tried again later when the platform is away, and stops when it refuses', async () => {
    await double.behave('busy');
    await expect(collect(double.pages())).rejects.toBeInstanceOf(RetryLater);
    await double.behave('refusing');
    const before = double.logins();
    await expect(collect(double.pages())).rejects.toBeInstanceOf(StopStream);
    expect(double.logins() - before).toBeLessThanOrEqual(2);
  });

  it('P5 comes to an end although the platform gives the same again for ever', async () => {
    await double.behave('looping');
    expect((await collect(double.pages())).length).toBeLessThanOrEqual(double.mostPages ?? 1);
  });
});

function mapped(map: CompiledMapping['map'], row: RawRow): MappedRecord | RejectRecord {
  try {
    return map(row, TODAY);
  } catch (error) {
    if (error instanceof RejectRecord) return error;
    throw error;
  }
}

async function collect(pages: AsyncIterable<Page>): Promise<Page[]> {
  const found: Page[] = [];
  for await (const page of pages) found.push(page);
  return found;
}

/** The mapping of the category that took the record. */
function takerOf(stream: PullStream, record: MappedRecord): Mapping {
  const { mapping } = stream;
  return [mapping, ...(mapping.alternatives ?? [])].find((one) => one.category === record.category) ?? mapping;
}

/** The columns of each value that a record must have. */
function requiredColumns(mapping: Mapping): string[][] {
  const required = new Set(MODEL.categories.get(mapping.category)?.kinds.get(mapping.kind)?.required);
  const { subject, version, occurredOn, validFrom, validTo } = mapping;
  const others = [subject.name, version, occurredOn, validFrom, validTo].filter((value) => value?.required) as Value[];
  const fields = [...mapping.fields].filter(([field, value]) => value.required || required.has(field)).map(([, value]) => value);
  const values = [...others, ...fields].filter((value) => value.literal === undefined).map((value) => value.from);
  return [...values, ...(mapping.key.length > 0 ? [mapping.key] : [])].filter((columns) => columns.length > 0);
}

/** `required`, or what the same columns decide before: who the record is about, or where it belongs. */
function rulesFor(stream: PullStream, mapping: Mapping, columns: readonly string[]): string[] {
  const shared = (others: readonly string[]) => others.some((column) => columns.includes(column));
  const identifiers = mapping.subject.identifiers.flatMap(({ scheme, value }) => [
    ...value.from,
    ...(typeof scheme === 'string' ? [] : [scheme.from]),
  ]);
  return [
    'required',
    ...(shared(identifiers) ? ['no-identifier'] : []),
    ...(shared(stream.mapping.route?.from ?? []) ? ['unknown-article'] : []),
  ];
}

function without(row: RawRow, columns: readonly string[]): RawRow {
  return Object.fromEntries(Object.entries(row).filter(([column]) => !columns.includes(column)));
}

function blank(value: unknown): boolean {
  return value === null || value === undefined || String(value).trim() === '';
}

/** A row by its key; rows without one by all they hold. */
function keyOf({ mapping }: PullStream, row: RawRow): string {
  const text = (column: string) => String(row[column] ?? '');
  return JSON.stringify(mapping.key.length > 0 ? mapping.key.map(text) : Object.keys(row).toSorted().map(text));
}
