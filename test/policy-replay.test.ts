/** The policies as those see them who answer for them: replay of logged queries, simulation, earlier versions, minimisation. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { decide } from '../src/access/decide.ts';
import { documentTexts, entriesBetween } from '../src/log/read.ts';
import { modelOf, readSchemaTexts } from '../src/model/load.ts';
import type { Model } from '../src/model/types.ts';
import { type ReplayReport, replay } from '../src/resolvers/replay.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import { simulate } from '../src/resolvers/simulate.ts';
import { keepModel } from '../src/store/model-versions.ts';
import { coordinatesOf } from './fixtures/whole-graph.ts';
import { type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';

const TEXTS = readSchemaTexts(new URL('../schema/', import.meta.url).pathname);
const SECURITY = { department: 'medical-insurance', role: 'security-administrator', purpose: 'administrative-inspection' };
const ASKERS: Asking[] = [
  { department: 'health', purpose: 'credit-evaluation' },
  { department: 'health', purpose: 'administrative-licence' },
  { department: 'tax', purpose: 'fiscal-support' },
  { department: 'market-supervision', purpose: 'bidding' },
];
/** A field that no rule gives the tax department for this purpose. */
const REVEALED = 'RegistrationRecord.bankAccount';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

/** The policies as they would be: health loses all it has of one coordinate, tax is given another; nothing else is touched. */
function proposed(taken: string): Model {
  const texts = { ...TEXTS };
  texts['policies/zz-proposed.yml'] = [
    'policy: zz-proposed',
    'zh: 拟议',
    'en: Proposed',
    'departments: [tax]',
    'rules:',
    `  - { id: more, article: HN-7, purposes: [fiscal-support], subjects: [organisation], categories: [1], classes: {}, fields: { ${REVEALED}: allow } }`,
    '',
  ].join('\n');
  const model = modelOf(texts);
  for (const rule of model.rules) if (rule.departments.includes('health')) rule.fields.delete(taken);
  return model;
}

const selectionOf = (coordinates: readonly string[]): string => {
  const byType = Map.groupBy(coordinates, (coordinate) => coordinate.split('.')[0] ?? '');
  const parts = [...byType].map(
    ([type, of]) => `... on ${type} { ${of.map((c) => `${c.replace('.', '_')}: ${c.split('.')[1]}`).join(' ')} }`,
  );
  return `query { records(first: 1) { nodes { kind ${parts.join(' ')} } } }`;
};

async function replayed(after: Model): Promise<ReplayReport> {
  return replay({
    schema: buildGraph(hub.model),
    after,
    before: (version) => Promise.resolve(version === hub.model.version ? hub.model : undefined),
    entries: entriesBetween(hub.pool, '2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z', 300),
    texts: (hashes) => documentTexts(hub.pool, hashes),
  });
}

describe('logged queries decided again', () => {
  const RECORDS = (model: Model) => coordinatesOf(model).filter((c) => c.includes('Record.'));

  it('U4 tells exactly what a changed policy would deny and reveal in a thousand logged queries', async () => {
    const given = (asking: Asking, coordinate: string): boolean =>
      hub.model.rules.some(
        (r) => r.departments.includes(asking.department ?? '') && r.purposes.includes(asking.purpose ?? '') && r.fields.has(coordinate),
      );
    const taken = RECORDS(hub.model).find((c) => given(ASKERS[0] as Asking, c) && given(ASKERS[1] as Asking, c)) ?? '';
    const some = fc.subarray(RECORDS(hub.model), { minLength: 1, maxLength: 8 });
    const pick = fc.tuple(fc.constantFrom(...ASKERS), some, fc.boolean(), fc.boolean()).map(([asking, of, first, second]) => ({
      asking,
      coordinates: [...new Set([...of, ...(first ? [taken] : []), ...(second ? [REVEALED] : [])])],
    }));
    const questions = fc.sample(pick, { numRuns: 1000, seed: 20261123 });
    expect(given(ASKERS[2] as Asking, REVEALED)).toBe(false);
    let denied = 0;
    let revealed = 0;
    let changed = 0;
    const ask = async ({ asking, coordinates }: (typeof questions)[number]) => (await hub.ask(selectionOf(coordinates), asking)).status;
    for (let i = 0; i < questions.length; i += 20)
      expect(new Set(await Promise.all(questions.slice(i, i + 20).map(ask)))).toEqual(new Set([200]));
    for (const { asking, coordinates } of questions) {
      const loses = asking.department === 'health' && coordinates.includes(taken);
      const gains = asking.department === 'tax' && coordinates.includes(REVEALED);
      denied += loses ? 1 : 0;
      revealed += gains ? 1 : 0;
      changed += loses || gains ? 1 : 0;
    }
    expect(Math.min(denied, revealed)).toBeGreaterThan(20);

    const report = await replayed(proposed(taken));
    expect(report).toMatchObject({ replayed: 1000, changed, newlyDenied: denied, newlyRevealed: revealed, left: {}, unfaithful: [] });
    const byDepartment = (name: 'newlyDenied' | 'newlyRevealed') =>
      Object.fromEntries(report.changes.filter((c) => Object.keys(c[name]).length > 0).map((c) => [c.department, Object.keys(c[name])]));
    expect(byDepartment('newlyDenied')).toEqual({ health: [taken] });
    expect(byDepartment('newlyRevealed')).toEqual({ tax: [REVEALED] });
    expect(report.changes.flatMap((c) => Object.keys(c.newlyMasked))).toEqual([]);

    expect(await replayed(modelOf(TEXTS))).toMatchObject({ replayed: 1000, changed: 0, changes: [] });
  }, 300_000);

  it('U4 decides filters as they were, with their variables hidden and their literals emptied', async () => {
    const document = `query ($where: SubjectWhereInput, $deep: Boolean = true) { subjects(where: $where, first: 1) { nodes { id } }
      records(where: { from: "2026-01-01", kind: "penalty" }, first: 1) { nodes { kind ... on AdministrationRecord @include(if: $deep) { facts } } } }`;
    const before = await replayed(hub.model);
    const answers = [
      await hub.ask(document, { variables: { where: { kind: 'ORGANISATION', name: '医院' } } }),
      await hub.ask(document, { ...ASKERS[3], variables: { where: { kind: 'PERSON', name: '陈' }, deep: false } }),
    ];
    expect(answers.map((a) => a.codes)).toEqual([[], ['FILTER_DENIED']]);
    const report = await replayed(hub.model);
    expect([report.replayed - before.replayed, report.changed, report.unfaithful]).toEqual([2, 0, []]);
    const without = { ...hub.model, rules: hub.model.rules.filter((r) => !r.departments.includes('health')) };
    const narrowed = await replayed(without);
    expect(narrowed.changes.filter((c) => c.newlyRefused > 0).map((c) => c.department)).toContain('health');
  });

  it('U4 says when a record of the log is not what the policies of then decide', async () => {
    const weaker = { ...hub.model, rules: hub.model.rules.filter((r) => !r.departments.includes('tax')) };
    const report = await replay({
      schema: buildGraph(hub.model),
      after: hub.model,
      before: () => Promise.resolve(weaker),
      entries: entriesBetween(hub.pool, '2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z'),
      texts: (hashes) => documentTexts(hub.pool, hashes),
    });
    expect(report.unfaithful.length).toBeGreaterThan(100);
  });
});

const SIMULATE = `query ($document: String!, $purpose: String!, $caller: SupposedCaller, $on: Day) {
  simulateAccess(document: $document, purpose: $purpose, caller: $caller, on: $on) { outcome code policy rules decisions { coordinate access rule article lift } scopes { rule } } }`;

describe('a query that nobody asks', () => {
  it('U5 is decided as the real one would be, touches no subject and is logged as a simulation', async () => {
    const document = selectionOf(['RegistrationRecord.contactPhone', 'AdministrationRecord.facts']);
    for (const { department, purpose } of ASKERS) {
      const variables = { document, purpose, caller: { department, role: 'officer' } };
      const { result, added } = await hub.logged(() => hub.ask(SIMULATE, { ...SECURITY, variables }));
      expect(result.errors).toEqual([]);
      expect(added.map((row) => [row.entry.kind, row.entry.subjects, row.entry.rows, row.entry.categories])).toEqual([
        ['simulation', [], 0, []],
      ]);
      const real = await hub.ask(document, { department, purpose });
      const { denied, masked } = real.extensions['access'] as Record<string, { coordinate: string }[]>;
      const of = (access: string) =>
        (result.data.simulateAccess.decisions as { coordinate: string; access: string }[])
          .filter((d) => d.access === access)
          .map((d) => d.coordinate);
      expect(of('deny')).toEqual(denied?.map((d) => d.coordinate));
      expect(of('mask')).toEqual(masked?.map((d) => d.coordinate));
    }
  });

  it('U5 an officer may simulate for his own department, others only with the duty', async () => {
    const variables = { document: '{ catalog { no } }', purpose: 'fiscal-support' };
    const own = await hub.ask(SIMULATE, { ...ASKERS[2], variables });
    expect(own.data.simulateAccess.outcome).toBe('answered');
    const other = await hub.ask(SIMULATE, { ...ASKERS[2], variables: { ...variables, caller: { department: 'health' } } });
    expect(other.codes).toEqual(['DUTY_REQUIRED']);
  });

  it.each([
    ['{ records(first: 1) { nodes { secret } } }', 'invalid', 'GRAPHQL_VALIDATION_FAILED'],
    ['{ records', 'invalid', 'GRAPHQL_PARSE_FAILED'],
    ['query A { catalog { no } } query B { catalog { no } }', 'invalid', 'OPERATION_RESOLUTION_FAILURE'],
    [
      '{ records(first: 100) { nodes { subject { records(first: 100) { nodes { subject { records(first: 100) { nodes { id } } } } } } } } }',
      'refused',
      'QUERY_TOO_LARGE',
    ],
  ])('U5 says of %s what the hub would: %s %s', async (document, outcome, code) => {
    const { data } = await hub.ask(SIMULATE, { ...ASKERS[0], variables: { document, purpose: 'credit-evaluation' } });
    expect(data.simulateAccess).toMatchObject({ outcome, code, decisions: [] });
  });

  it('U5 simulation ≡ decision for 10,000 callers, purposes and fields', () => {
    const purposes = [...(hub.model.codes.get('purposes')?.values.keys() ?? [])];
    const departments = [...(hub.model.codes.get('departments')?.values.keys() ?? [])];
    const roles = [...new Set(['officer', ...hub.model.rules.flatMap((r) => r.roles)])];
    const asked = fc.record({
      department: fc.constantFrom(...departments),
      role: fc.constantFrom(...roles),
      region: fc.constantFrom('430000', '430100', '410000'),
      purpose: fc.constantFrom(...purposes),
      coordinate: fc.constantFrom(...RECORD_FIELDS),
    });
    fc.assert(
      fc.property(asked, ({ coordinate, purpose, ...who }) => {
        const subject = { scheme: 'uscc', code: '?' };
        const caller = { id: 'wj-0001', name: '陈静', actingFor: '', purposes: undefined, subject, ...who };
        const stated = { code: purpose, basis: '依据', case: '案1' };
        const told = simulateOne(hub.model, caller, stated, coordinate);
        expect(told).toEqual(decideOne(hub.model, caller, stated, coordinate));
      }),
      { numRuns: 10_000, seed: 20261123 },
    );
  });
});

describe('the policies of then', () => {
  it('U11 a day is answered by the policies in force at its end, and a day before the first is refused', async () => {
    const earlier = { ...TEXTS };
    delete earlier['policies/tax.yml'];
    await keepModel(hub.pool, modelOf(earlier).version, earlier);
    await keepModel(hub.pool, hub.model.version, TEXTS);
    await keepModel(hub.pool, hub.model.version, TEXTS);
    await hub.pool.query(`update model_use set since = '2026-03-01T00:00:00+08:00' where id = 1`);
    await hub.pool.query(`update model_use set since = '2026-06-01T00:00:00+08:00' where id = 2`);
    const asked = (on: string) =>
      hub.ask(SIMULATE, {
        ...SECURITY,
        variables: {
          document: selectionOf(['RegistrationRecord.registeredName']),
          purpose: 'fiscal-support',
          caller: { department: 'tax', role: 'officer' },
          on,
        },
      });
    expect((await asked('2026-02-28')).codes).toEqual(['POLICY_UNKNOWN']);
    expect((await asked('2026-05-31')).data.simulateAccess).toMatchObject({
      outcome: 'refused',
      code: 'NO_POLICY',
      policy: modelOf(earlier).version,
    });
    expect((await asked('2026-06-01')).data.simulateAccess).toMatchObject({ outcome: 'answered', policy: hub.model.version });
    const versions = await hub.ask('{ policyVersions { version since } }', SECURITY);
    expect(versions.data.policyVersions).toEqual([
      { version: hub.model.version, since: '2026-05-31T16:00:00.000Z' },
      { version: modelOf(earlier).version, since: '2026-02-28T16:00:00.000Z' },
    ]);
  });
});

describe('what nobody needs', () => {
  it('U7 HN-5 proposes the fields that a department may read and has not read, counted once however often it is asked', async () => {
    const MINIMISE = '{ minimisation(days: 180) { days covered unread { rule department purpose queries coordinates } } }';
    const unread = (answer: {
      data: { minimisation: { unread: { rule: string; department: string; purpose: string; queries: number; coordinates: string[] }[] } };
    }) =>
      answer.data.minimisation.unread.find(
        (u) => u.department === 'health' && u.purpose === 'annual-assessment' && u.coordinates.includes('RegistrationRecord.address'),
      );
    const before = await hub.ask(MINIMISE, SECURITY);
    expect(before.errors).toEqual([]);
    expect(before.data.minimisation).toMatchObject({ days: 180, covered: false });
    expect(unread(before)?.queries).toBe(0);

    const { data } = await hub.ask('{ records(first: 100) { nodes { ... on RegistrationRecord { address } } } }', {
      department: 'health',
      purpose: 'annual-assessment',
    });
    expect(JSON.stringify(data)).toContain('address');
    const after = await hub.ask(MINIMISE, SECURITY);
    expect(unread(after)).toBeUndefined();
    await hub.ask(MINIMISE, SECURITY);
    const { rows } = await hub.pool.query<{ queries: number }>(
      `select queries from field_usage where department = 'health' and purpose = 'annual-assessment' and coordinate = ''`,
    );
    expect(rows).toEqual([{ queries: 1 }]);
    const refused = await hub.ask(MINIMISE, { department: 'health', purpose: 'annual-assessment' });
    expect(refused.codes).toEqual(['DUTY_REQUIRED']);
  });
});

/* ---- the simulation and the decision of one field ---- */

const RECORD_FIELDS = coordinatesOf(modelOf(TEXTS));
type Caller = Parameters<typeof decide>[1];
type Purpose = Parameters<typeof decide>[2];

function decideOne(model: Model, caller: Caller, purpose: Purpose, coordinate: string): unknown {
  const only = new Set([coordinate]);
  try {
    return [...decide(model, caller, purpose, { selected: only, explicit: only, constrained: new Set() }, '2026-11-23').decisions.values()];
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function simulateOne(model: Model, caller: Caller, purpose: Purpose, coordinate: string): unknown {
  const [type = '', field = ''] = coordinate.split('.');
  const edge = type.endsWith('Record') ? 'records' : 'subjects';
  const document = `{ ${edge}(first: 1) { nodes { ... on ${type} { ${field} } } } }`;
  const told = simulate(buildGraph(model), model, { document, operationName: '', variables: {}, caller, purpose, today: TODAY });
  return told.code === '' ? told.decisions : told.code;
}
