/** The second wall (design §4): with every condition of the first one left out, PostgreSQL itself gives nothing outside the grant. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Grant } from '../src/access/decide.ts';
import { readerRole, WRITER } from '../src/store/roles.ts';
import { openPool, type Pool } from '../src/store/sql.ts';
import { enterWall } from '../src/store/wall.ts';
import { freshDatabase, type TestDatabase } from './setup/database.ts';
import { MODEL } from './setup/store.ts';
import {
  allowed,
  classesGiven,
  codeOf,
  COLUMNS,
  differences,
  everyGrant,
  given,
  grantOf,
  type Lines,
  makeLines,
  storeLines,
  storeTies,
  TOKENS,
  useCatalog,
} from './setup/wall.ts';

const ROWS = 420;
const GRANTS = everyGrant(MODEL);
const DENIED = '42501';
const VIEWS = [
  'subject',
  'record',
  'record_history',
  'subject_identifier',
  'subject_key',
  'relation',
  'consent',
  'registered_case',
  'case_subject',
];
useCatalog(MODEL);

/** The same numbers at every run. */
function drawing(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * n);
  };
}
const LINES: Lines = makeLines(MODEL, drawing(20_261_123), ROWS);

let database: TestDatabase;
/** As an administrator, and as the processes of the hub. */
let admin: Pool;
let hub: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  admin = openPool(database.url, { max: 2 });
  await storeLines(admin, LINES);
  await storeTies(admin, MODEL);
  hub = openPool(database.url, { max: 2, role: WRITER });
});
afterAll(async () => {
  await hub.close();
  await admin.close();
  await database.drop();
});

describe('a reader that asks for everything', () => {
  it('P10 the policies make many different grants, and the rows lie in and out of each', () => {
    expect(GRANTS.size).toBeGreaterThan(15);
    for (const grant of GRANTS.values()) {
      const { records } = allowed(MODEL, grant, LINES);
      expect(records.size).toBeLessThan(ROWS);
      if (grant.scopes.some((scope) => scope.region !== '41' && scope.tie?.by !== 'own-case')) expect(records.size).toBeGreaterThan(0);
    }
  });

  it.each([...GRANTS])('P10 HUB-4 gets exactly the rows and fields of its grant: %s', async (_name, grant) => {
    expect(differences(await given(hub, MODEL, grant), allowed(MODEL, grant, LINES))).toEqual([]);
  });

  it.each([...GRANTS])('P10 may not read a class of values that its grant gives nothing of: %s', async (_name, grant) => {
    const enter = enterWall(MODEL, grant, TOKENS);
    const held = classesGiven(grant);
    const denied = COLUMNS.filter((column) => !held.has(column));
    for (const view of ['subject', 'record', 'record_history'])
      for (const column of denied)
        expect([column, await codeOf(hub.read(enter, `select ${column} from wall.${view}`))]).toEqual([column, DENIED]);
  });

  it('P10 has nothing of any table, only what the wall shows of it', async () => {
    const { rows } = await admin.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'`);
    expect(rows.length).toBeGreaterThan(20);
    const enter = enterWall(MODEL, grantOf(MODEL, 'medical-insurance', 'credit-evaluation', '430000'), TOKENS);
    for (const { name } of rows) {
      expect([name, await codeOf(hub.read(enter, `select from public.${name}`))]).toEqual([name, DENIED]);
      // Not even by the name that the first wall's statements use.
      if (!VIEWS.includes(name)) expect([name, await codeOf(hub.read(enter, `select from ${name}`))]).toEqual([name, '42P01']);
    }
  });

  it('P10 relations and identifiers are those of the rows it holds', async () => {
    const grant = grantOf(MODEL, 'market-supervision', 'bidding', '430100');
    const { subjects, records } = allowed(MODEL, grant, LINES);
    const ids = async (text: string) =>
      (await hub.read<{ id: string }>(enterWall(MODEL, grant, TOKENS), text)).rows.map((r) => r.id).toSorted();
    expect(await ids('select record_id::text as id from relation')).toEqual([...records.keys()].toSorted());
    expect(await ids('select subject_id::text as id from subject_identifier')).toEqual([...subjects.keys()].toSorted());
    expect(records.size * subjects.size).toBeGreaterThan(0);
  });

  it('L21 an error in a condition tells nothing of a row outside the grant', async () => {
    const enter = enterWall(MODEL, grantOf(MODEL, 'tax', 'social-security', '430102'), TOKENS);
    const seen = allowed(MODEL, grantOf(MODEL, 'tax', 'social-security', '430102'), LINES);
    const never = LINES.records.filter(({ id }) =>
      ['', '/1', '/2'].every((v) => !seen.records.has(`${id}${v}`) && !seen.versions.has(`${id}${v}`)),
    );
    expect(never.length).toBeGreaterThan(50);
    const trap = (column: string) => `1 / (case when ${column} = any('{${never.map((line) => line.id).join(',')}}') then 0 else 1 end) = 1`;
    for (const [view, id] of [
      ['record', 'id'],
      ['record_history', 'id'],
      ['relation', 'record_id'],
    ] as const)
      expect([view, await codeOf(hub.read(enter, `select from wall.${view} where ${trap(id)}`))]).toEqual([view, 'done']);
    // The trap does spring on rows that are seen.
    const [own] = seen.records.keys();
    expect(await codeOf(hub.read(enter, `select from wall.record where 1 / (id - ${own}) = 1`))).toBe('22012');
  });

  it('P10 finds by a part of a name those whose name it is given, and no others', async () => {
    let found = 0;
    for (const grant of [...GRANTS.values()].filter((_grant, i) => i % 3 === 0)) {
      const { subjects } = allowed(MODEL, grant, LINES);
      for (const kind of ['organisation', 'person'])
        for (const part of ['s1', '.name', '%', '_', '\\']) {
          const names = [...subjects].filter(([id]) => LINES.subjects[Number(id) - 1]?.kind === kind);
          const right = names.filter(([, values]) => String(values.open?.['name'] ?? values.personal?.['name'] ?? '').includes(part));
          const { rows } = await hub.read<{ id: number }>(enterWall(MODEL, grant, TOKENS), `select named($1, $2, '', 0, 1000) as id`, [
            kind,
            part,
          ]);
          expect(rows.map((row) => String(row.id))).toEqual(right.map(([id]) => id));
          found += rows.length;
        }
    }
    expect(found).toBeGreaterThan(100);
    const all = enterWall(MODEL, grantOf(MODEL, 'medical-insurance', 'credit-evaluation', '430000'), TOKENS);
    const named = async (text: string) =>
      (await hub.read<{ id: number }>(all, `select named('organisation', ${text}) as id`)).rows.map((row) => row.id);
    const [first, second, third] = await named(`'s', '43', 0, 3`);
    expect(await named(`'s', '43', ${first}, 2`)).toEqual([second, third]);
    expect((await named(`'s', '4304', 0, 100`)).every((id) => LINES.subjects[id - 1]?.region?.startsWith('4304'))).toBe(true);
  });

  it('P10 is not told how others are tied to a subject', async () => {
    const tie = { by: 'consented', person: 'x', department: 'health', purpose: 'credit-evaluation', day: '2026-11-23', roles: ['*'] };
    const tied = `select bool_or(wall.tied('${JSON.stringify(tie)}', id, '{1,2,3,4,5,6,7,8,9,10,11,12}', true)) as yes from generate_series(1, 70) id`;
    const enter = enterWall(MODEL, grantOf(MODEL, 'medical-insurance', 'credit-evaluation', '430000'), TOKENS);
    expect((await hub.read<{ yes: boolean }>(enter, tied)).rows).toEqual([{ yes: false }]);
    const scope = JSON.stringify([{ tie }]);
    const own = `begin; set local role ${readerRole([])}; select set_config('hub.scopes', '${scope}', true)`;
    expect((await hub.read<{ yes: boolean }>(own, tied)).rows).toEqual([{ yes: true }]);
  });

  it('P10 may change nothing', async () => {
    const enter = enterWall(MODEL, grantOf(MODEL, 'medical-insurance', 'credit-evaluation', '430000'), TOKENS).replace(
      'begin read only',
      'begin',
    );
    for (const view of VIEWS) {
      expect(await codeOf(hub.read(enter, `delete from wall.${view}`))).toMatch(/^(42501|55000)$/);
      expect(await codeOf(hub.read(enter, `delete from public.${view}`))).toMatch(/^(42501|42P01)$/);
    }
    expect(await codeOf(hub.read(enter, 'create table wall.mine (id int)'))).toBe(DENIED);
  });
});

describe('a reader without a grant', () => {
  it.each([
    ['no setting at all', undefined],
    ['an empty setting, as a connection has after a transaction', ''],
    ['no scope', '[]'],
    ['a scope that says nothing', '[{}]'],
    ['a scope without categories and subjects', '[{"kinds":["*"],"region":"","publicOnly":false,"fields":{"3":{"open":true}}}]'],
    [
      'a scope that forgets the tie',
      '[{"subjects":["organisation","person"],"categories":[1,2,3],"kinds":["*"],"region":"","publicOnly":false}]',
    ],
    [
      'a tie that is none',
      '[{"subjects":["organisation","person"],"categories":[1,2,3],"kinds":["*"],"region":"","publicOnly":false,"tie":{"roles":["*"],"by":"friend"}}]',
    ],
    ['a scope that forgets the region', '[{"subjects":["organisation","person"],"categories":[1,2,3],"kinds":["*"],"publicOnly":false}]'],
  ])('P10 gets no row from %s', async (_case, scopes) => {
    const set = scopes === undefined ? '' : `; select set_config('hub.scopes', '${scopes}', true)`;
    const role = readerRole(['internal', 'commercial', 'personal', 'sealed', 'masks']);
    for (const view of VIEWS) {
      const { rows } = await admin.read(`begin; set local role ${role}${set}`, `select * from wall.${view}`);
      expect([view, rows]).toEqual([view, []]);
    }
  });

  it('P10 a setting that is no JSON is an error, and no row', async () => {
    expect(
      await codeOf(admin.read(`begin; set local role ${readerRole([])}; set local hub.scopes = 'all'`, 'select id from wall.record')),
    ).toBe('22P02');
  });

  it('P10 a scope that gives no fields gives rows without values', async () => {
    const scope = { subjects: ['organisation', 'person'], categories: [3], kinds: ['*'], region: '', publicOnly: false, tie: 'none' };
    const enter = `begin; set local role ${readerRole(['internal', 'personal'])}; select set_config('hub.scopes', '${JSON.stringify([scope])}', true)`;
    const { rows } = await admin.read<{ open: unknown; internal: unknown; personal: unknown }>(
      enter,
      'select open, internal, personal from wall.record',
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row).toEqual({ open: null, internal: null, personal: null });
  });

  it('P10 the writer reads no view of the wall', async () => {
    for (const view of VIEWS) expect(await codeOf(hub.query(`select from wall.${view}`))).toBe(DENIED);
  });
});

describe('connections that are shared', () => {
  /** What a connection may remember of a reader: nothing. */
  const STATE = `select current_user as who, coalesce(current_setting('hub.scopes', true), '') as scopes, current_setting('search_path') as path,
    current_setting('statement_timeout') as timeout, current_setting('transaction_read_only') as readonly`;
  const CLEAN = { who: WRITER, scopes: '', path: '"$user", public', timeout: '0', readonly: 'off' };

  it('L33 whatever runs between, a reader gets its own grant and a writer no trace of it', async () => {
    const grants = [...GRANTS.values()];
    const expected = new Map(grants.map((grant) => [grant, [...allowed(MODEL, grant, LINES).records.keys()].toSorted()]));
    const reading = fc.nat(grants.length - 1).map((n) => ({ act: 'read' as const, n }));
    const failing = fc.tuple(
      fc.nat(grants.length - 1),
      fc.constantFrom('select 1/0', 'select nothing', 'select from public.record', 'commit; select 1'),
    );
    const act = fc.oneof(
      { weight: 4, arbitrary: reading },
      failing.map(([n, text]) => ({ act: 'fail' as const, n, text })),
      fc.constant({ act: 'write' as const, n: 0 }),
      fc.constant({ act: 'undo' as const, n: 0 }),
      fc.nat(grants.length - 1).map((n) => ({ act: 'badly' as const, n })),
    );
    const run = async (one: { act: string; n: number; text?: string }): Promise<void> => {
      const grant = grants[one.n] as Grant;
      if (one.act === 'read') {
        const { rows } = await hub.read<{ id: string }>(enterWall(MODEL, grant, TOKENS), 'select id::text as id from record');
        expect(rows.map((row) => row.id).toSorted()).toEqual(expected.get(grant));
      } else if (one.act === 'fail') expect(await codeOf(hub.read(enterWall(MODEL, grant, TOKENS), one.text ?? ''))).not.toBe('done');
      else if (one.act === 'badly')
        expect(await codeOf(hub.read(enterWall(MODEL, grant, TOKENS).replace('hub_read_', 'hub_no_'), 'select id from record'))).toBe(
          '22023',
        );
      else if (one.act === 'undo')
        await hub
          .transaction(async (sql) => {
            await sql.query('update record set deleted = true');
            throw new Error('undone');
          })
          .catch(() => undefined);
      else expect((await hub.query(STATE)).rows).toEqual([CLEAN]);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 24 }), async (acts) => {
        await Promise.all(acts.map(run));
        expect((await hub.query(STATE)).rows).toEqual([CLEAN]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the test of the wall', () => {
  /** What would have to break for the wall to fall, one thing at a time. */
  const BREAKS: [string, string][] = [
    ['row security of records is off', 'alter table record disable row level security'],
    ['row security of subjects is off', 'alter table subject disable row level security'],
    [
      'a rule for rows forgets the region',
      `drop policy hub_reads on record; create policy hub_reads on record for select to hub_view using (
       exists (select from wall.scopes() s where record.category = any(s.categories) and record.subject_kind = any(s.subjects)))`,
    ],
    [
      'a class counts as given where one field of it is',
      `create or replace function wall.whole(class text) returns boolean language sql as $$ select true $$`,
    ],
  ];

  it.each(BREAKS)('P10 goes red when %s', async (_case, statement) => {
    const some = ['430102', '430000'].flatMap((region) => [
      grantOf(MODEL, 'tax', 'social-security', region),
      grantOf(MODEL, 'health', 'credit-evaluation', region),
    ]);
    const copy = await freshDatabase();
    const pool = openPool(copy.url, { max: 1 });
    try {
      await storeLines(pool, LINES);
      const found = async (): Promise<string[]> => {
        const lines: string[] = [];
        for (const grant of some) lines.push(...differences(await given(pool, MODEL, grant), allowed(MODEL, grant, LINES)));
        return lines;
      };
      await pool.query(statement);
      expect((await found()).filter((line) => line.startsWith('given: ')).length).toBeGreaterThan(50);
    } finally {
      await pool.close();
      await copy.drop();
    }
  });
});
