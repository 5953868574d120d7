/** Leak catalogue (reliability §5) L10–L17 and L20–L25: shapes of answers, ids, cursors, errors and masks tell nothing of what the caller may not see. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getNamedType, isNonNullType, isObjectType } from 'graphql';
import { explain } from '../src/access/decide.ts';
import { supposed } from '../src/access/caller.ts';
import { maskText } from '../src/access/mask.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { concealCursor } from '../src/store/opaque.ts';
import { DOCTOR, HENGYANG, HOSPITAL, SECRETS } from './fixtures/credit-records.ts';
import { wholeDocument } from './fixtures/whole-graph.ts';
import { type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { bare, BUREAU, CALLERS, HEALTH, membersOf, TAX } from './setup/leaks.ts';

let hub: TestHub;
/** What a statement of the hub under test is made to fail with. */
let broken: Error | undefined;
beforeAll(async () => {
  hub = await openHub({
    serve: (pool) => ({
      ...pool,
      read: async (enter, text, values) => {
        if (broken) throw broken;
        return pool.read(enter, text, values);
      },
    }),
  });
});
afterAll(() => hub.close());

/** A well-formed number that no subject of the world has. */
const NOBODY = '11010519491231002X';
const CODE = HOSPITAL.identifiers[0].code;
const callerOf = ({ department = '' }: Asking) => ({
  id: '',
  name: '',
  department,
  role: 'officer',
  region: '430000',
  actingFor: '',
  purposes: undefined,
});

describe('a hidden field', () => {
  it('L10 is null on every row, asked on its type under an interface, for every caller', async () => {
    let nulls = 0;
    for (const asking of CALLERS) {
      const { data } = await hub.ask(wholeDocument(hub.model), { ...asking, variables: { code: CODE } });
      const rows = [data.subject, ...data.subject.records.nodes] as Record<string, unknown>[];
      for (const row of rows) {
        for (const [name, value] of Object.entries(row)) {
          const coordinate = `${String(row['__typename'])}.${name.replace(/^\w+Record_/, '')}`;
          const known = [...hub.model.subjects.values(), ...hub.model.categories.values()].some(
            (t) => t.fields.has(coordinate.split('.')[1] ?? '') && t.type === row['__typename'],
          );
          if (!known || explain(hub.model, callerOf(asking), supposed(asking.purpose), coordinate, TODAY).access !== 'deny') continue;
          expect([asking, coordinate, value]).toEqual([asking, coordinate, null]);
          nulls += 1;
        }
      }
    }
    expect(nulls).toBeGreaterThan(300);
  });

  it('L11 is the same through an alias, a fragment, a fragment spread twice, a directive', async () => {
    const forms = [
      '... on Organisation { institutionCode }',
      '... on Organisation { x: institutionCode }',
      '...F',
      '...F ... on Subject { ...F }',
      '... on Organisation @include(if: true) { institutionCode @skip(if: false) }',
      '... on Organisation { ... on Subject { ... on Organisation { y: institutionCode } } }',
    ];
    for (const form of forms) {
      const fragment = form.includes('...F') ? 'fragment F on Organisation { institutionCode }' : '';
      const answer = await hub.ask(`{ subject(code: "${CODE}") { ${form} } } ${fragment}`, TAX);
      expect([form, Object.values(answer.data.subject), answer.codes]).toEqual([form, [null], ['FIELD_DENIED']]);
    }
  });

  it('L23 makes no answer smaller: every field of the catalog can be null, and so can the edge to a subject', () => {
    const schema = buildGraph(hub.model);
    const bubbling = [...hub.model.subjects.values(), ...hub.model.categories.values()].flatMap((type) => {
      const found = schema.getType(type.type);
      const fields = isObjectType(found) ? found.getFields() : {};
      return [...type.fields.keys(), 'subject'].filter((name) => isNonNullType(fields[name]?.type)).map((name) => `${type.type}.${name}`);
    });
    expect(bubbling).toEqual([]);
  });

  it('L24 decides nothing that is told beside it: which sources tell one fact, which is preferred, and where they differ', async () => {
    const asked = `{ records(where: { kind: "employer-contribution" }) { nodes { preferred sameFact { id } contradictions { field } } } }`;
    const copy = async (kind: string) =>
      hub.pool.query(
        `insert into record (subject_id, subject_kind, category, kind, publicity, region, connector, stream, source_key, ordered_on, fact, content, open, internal, run_id)
         select subject_id, subject_kind, category, kind, publicity, region, 'hunan-credit', 'violations', $1, ordered_on, fact, content, open, internal, 0 from record where kind = $1
         returning id`,
        [kind],
      );
    await copy('employer-contribution');
    await hub.pool
      .query(`insert into record_version (record_id, version, category, kind, publicity, deleted, content, region, fact, open, internal, run_id)
      select id, 1, category, kind, publicity, false, content, region, fact, open, internal, 0 from record r where not exists (select from record_version v where v.record_id = r.id)`);
    // Which insurance and which month is hidden from tax for fiscal support: that two rows are of the same month is, too.
    const tax = await hub.ask(asked, TAX);
    expect(tax.data.records.nodes).toEqual([1, 2].map(() => ({ preferred: true, sameFact: [], contradictions: [] })));
    const bureau = await hub.ask(asked, BUREAU);
    expect(bureau.data.records.nodes.map(({ sameFact }: { sameFact: unknown[] }) => sameFact.length)).toEqual([1, 1]);
  });
});

describe('an id', () => {
  it('L12 opens nothing: there is no look-up by id of rows, and an id is no code of a subject', async () => {
    const schema = buildGraph(hub.model);
    const byId = Object.values(schema.getQueryType()?.getFields() ?? {}).filter((field) =>
      field.args.some(({ name, type }) => getNamedType(type).name === 'ID' && name !== 'after'),
    );
    expect(byId.map(({ name }) => name)).toEqual([]);
    const { data } = await hub.ask('{ subjects(first: 1) { nodes { id } } }', HEALTH);
    const forged = Buffer.from('Person:1').toString('base64');
    for (const code of [data.subjects.nodes[0].id, forged, 'Person:1', '1'])
      expect((await hub.ask('query ($c: String!) { subject(code: $c) { id } }', { ...HEALTH, variables: { c: code } })).codes).toEqual([
        'SUBJECT_NOT_FOUND',
      ]);
  });

  it('L13 there is one way through a page, and no other beside it', () => {
    const pages = membersOf(buildGraph(hub.model)).filter((member) => /Connection\./.test(member));
    expect([...new Set(pages.map((member) => member.split('.')[1]))].sort()).toEqual(['nodes', 'pageInfo']);
  });
});

describe('a cursor', () => {
  const page = async (after: string, asking: Asking = TAX) =>
    hub.ask('query ($a: String) { records(first: 1, after: $a) { nodes { id } pageInfo { endCursor } } }', {
      ...asking,
      variables: { a: after },
    });

  it('L14 L15 is opaque and whole: it shows neither day nor number, and no changed, foreign or other text is taken for one', async () => {
    const { data } = await hub.ask(
      '{ records(first: 1) { nodes { id } pageInfo { endCursor } } subjects(first: 1) { pageInfo { endCursor } } }',
      TAX,
    );
    const cursor: string = data.records.pageInfo.endCursor;
    expect(cursor).toMatch(/^[\w-]{22}$/);
    for (const shown of [Buffer.from(cursor, 'base64url').toString('latin1'), Buffer.from(cursor, 'base64url').toString('hex')])
      expect(shown).not.toMatch(/2026|0{6}/);
    expect((await page(cursor)).codes).toEqual([]);
    const foreign = concealCursor(openKeys(newKeyRing()), '2026-03-01', 1);
    const changed = Array.from(cursor, (character, i) => `${cursor.slice(0, i)}${character === 'A' ? 'B' : 'A'}${cursor.slice(i + 1)}`);
    for (const text of [...changed, foreign, data.subjects.pageInfo.endCursor, data.records.nodes[0].id, '', '2026-03-01,1', 'WzEsMl0='])
      expect([text, (await page(text)).codes]).toEqual([text, ['BAD_CURSOR']]);
  });

  it('L14 of a caller who sees more is to one who sees less a place, and nothing that lies there', async () => {
    const cursors: string[] = [];
    let after: string | null = null;
    for (let i = 0; i < 30; i += 1) {
      const { data } = await hub.ask(
        'query ($a: String) { records(first: 1, after: $a) { nodes { id } pageInfo { endCursor hasNextPage } } }',
        { ...BUREAU, variables: { a: after } },
      );
      cursors.push(data.records.pageInfo.endCursor as string);
      after = data.records.pageInfo.endCursor;
      if (!data.records.pageInfo.hasNextPage) break;
    }
    const own = (await hub.ask('{ records(first: 200) { nodes { id } } }', TAX)).data.records.nodes.map(
      (node: { id: string }) => node.id,
    ) as string[];
    for (const cursor of cursors) for (const { id } of (await page(cursor)).data.records.nodes) expect(own).toContain(id);
  });
});

describe('an error', () => {
  it('L20 of a wrong value repeats neither the value nor those that would be right', async () => {
    for (const [query, variables] of [
      [`{ records(where: { from: "${SECRETS[0]}" }) { nodes { id } } }`, {}],
      ['query ($d: Day) { records(where: { from: $d }) { nodes { id } } }', { d: SECRETS[0] }],
      [
        'query ($f: FenWhere) { records(where: { registration: { registeredCapital: $f } }) { nodes { id } } }',
        { f: { from: SECRETS[0] } },
      ],
      ['{ records(where: { categories: [JUDICIAR] }) { nodes { id } } }', {}],
      ['query ($c: [CategoryCode!]) { records(where: { categories: $c }) { nodes { id } } }', { c: ['JUDICIAR'] }],
    ] as const) {
      const answer = await hub.ask(query, { ...TAX, variables });
      expect(answer.codes).toHaveLength(1);
      expect(['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT']).toContain(answer.codes[0]);
      expect(answer.text).not.toMatch(/JUDICIAL|Did you mean/);
      expect(answer.text).not.toContain(SECRETS[0]);
    }
  });

  it('L21 of the database is told as an error of ours, without a word of it', async () => {
    broken = Object.assign(new Error(`duplicate key value violates "person_id" DETAIL: Key (id_no)=(${SECRETS[0]}) exists`), {
      detail: SECRETS[0],
      where: 'public.subject',
    });
    const answer = await hub.ask(`{ subject(code: "${CODE}") { name } records { nodes { id } } }`, TAX);
    broken = undefined;
    expect([answer.codes, answer.data ?? null]).toEqual([['INTERNAL_SERVER_ERROR'], null]);
    expect(answer.text).not.toMatch(/duplicate|DETAIL|id_no|public\.|stack/);
    expect(answer.text).not.toContain(SECRETS[0]);
    hub.faults.length = 0;
  });

  it('L22 is the same for a subject of another region, of another kind, and for none: status, code, words and length', async () => {
    const ask = async (code: string) => {
      const answer = await hub.ask('query ($c: String!) { subject(code: $c) { id name region records { nodes { id } } } }', {
        ...TAX,
        region: '430100',
        variables: { c: code },
      });
      return bare(answer);
    };
    const none = await ask(NOBODY);
    for (const { code } of [HENGYANG.identifiers[0], DOCTOR.identifiers[0]]) expect(await ask(code)).toBe(none);
  });
});

describe('a mask', () => {
  it('L25 of an id number leaves hundreds of numbers open, whoever knows the region and the mask', () => {
    for (const number of SECRETS.filter((secret) => /^\d{17}[\dX]$/.test(secret))) {
      const mask = maskText('id-number', number);
      expect(mask).toBe(`${number.slice(0, 4)}**********${number.slice(-4)}`);
      // Region and mask leave the day of birth open, and the check digit takes one day in eleven of it: here of fifteen years alone.
      const left = new Set<string>();
      for (let day = Date.UTC(1975, 0, 1); day < Date.UTC(1990, 0, 1); day += 86_400_000) {
        const birth = new Date(day).toISOString().slice(0, 10).replaceAll('-', '');
        const made = withCitizenCheck(`${number.slice(0, 6)}${birth}${number.slice(14, 17)}`);
        if (maskText('id-number', made) === mask) left.add(made);
      }
      expect(left.size).toBeGreaterThan(100);
    }
  });

  it('L25 no field of the catalog tells a day of birth or a sex, which would leave one number; who adds one has to hide more of the mask', () => {
    const telling = [...hub.model.subjects.values(), ...hub.model.categories.values()].flatMap((type) =>
      [...type.fields.values()]
        .filter((field) => /出生|生日|年龄|性别|birth|\bage\b|\bsex\b|gender/i.test(`${field.name} ${field.zh} ${field.en}`))
        .map((field) => `${type.type}.${field.name}`),
    );
    expect(telling).toEqual([]);
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
