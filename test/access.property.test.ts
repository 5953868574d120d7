/** What must hold for every caller, purpose, set of rules and question. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Asked, Caller } from '../src/access/caller.ts';
import { type Decision, decide, explain, type Grant } from '../src/access/decide.ts';
import { Refused } from '../src/errors.ts';
import { contains, type Scope, scopesOf } from '../src/access/scope.ts';
import { loadModel } from '../src/model/load.ts';
import type { Restriction, Model, PolicyRule } from '../src/model/types.ts';
import { openKeys } from '../src/store/keys.ts';
import { writeRing } from '../src/store/ring.ts';
import { openReader } from '../src/store/reader.ts';
import type { Walled } from '../src/store/sql.ts';
import { regionPrefix } from '../src/access/caller.ts';
import { coordinatesOf } from './fixtures/whole-graph.ts';

const model = loadModel(new URL('../schema/', import.meta.url).pathname);
const COORDINATES = coordinatesOf(model);
const PURPOSES = [...(model.codes.get('purposes')?.values.keys() ?? [])];
const DEPARTMENTS = [...(model.codes.get('departments')?.values.keys() ?? [])];
const TODAY = '2026-11-23';
const ROLES = ['insured-person', 'pharmacy-staff'];
const RANK = { deny: 0, mask: 1, allow: 2 };

/* ---- arbitrary callers, rules and questions ---- */

const region = fc.constantFrom('430000', '430100', '430102', '430199', '410000', '439900');
const caller = (department: fc.Arbitrary<string>): fc.Arbitrary<Caller> =>
  fc.record({
    id: fc.constant('wj-0001'),
    name: fc.constant('陈静'),
    department,
    role: fc.constantFrom('officer', 'auditor'),
    region,
    actingFor: fc.constant(''),
    purposes: fc.option(fc.subarray(PURPOSES), { nil: undefined }),
    subject: fc.option(fc.constantFrom({ scheme: 'uscc', code: 'one' }, { scheme: 'uscc', code: 'two' }), { nil: undefined }),
  });
const term = fc.record({
  from: fc.option(fc.constantFrom('2026-11-22', '2026-11-23', '2026-11-24'), { nil: undefined }),
  until: fc.option(fc.constantFrom('2026-11-22', '2026-11-23', '2026-11-24'), { nil: undefined }),
});
const always = fc.constant({ from: undefined, until: undefined });
const ruleWith = (terms: typeof term): fc.Arbitrary<PolicyRule> =>
  fc
    .record({
      id: fc.uuid(),
      departments: fc.subarray(['health', 'tax'], { minLength: 1 }),
      roles: fc.subarray(['officer', 'auditor']),
      purposes: fc.subarray(['bidding', 'fiscal-support', 'credit-evaluation'], { minLength: 1 }),
      subjects: fc.subarray(['organisation', 'person'] as const, { minLength: 1 }),
      subjectRoles: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, fc.subarray(ROLES)),
      use: fc.oneof({ weight: 4, arbitrary: fc.constant('reading' as const) }, fc.constant('statistics' as const)),
      term: terms,
      categories: fc.subarray([1, 2, 3, 11], { minLength: 1 }),
      kinds: fc.constantFrom<string[][]>([], ['penalty']),
      region: fc.constantFrom('own' as const, 'own-and-above' as const, 'any' as const),
      subject: fc.constantFrom(
        'any' as const,
        'any' as const,
        'recorded' as const,
        'self' as const,
        'consented' as const,
        'own-case' as const,
      ),
      publicity: fc.constantFrom('public' as const, 'any' as const),
      given: fc.array(fc.constantFrom('allow' as const, 'mask' as const, 'deny' as const), { minLength: 7, maxLength: 7 }),
    })
    .map(({ region, publicity, subject, given, ...parts }) => {
      const types = [
        ...parts.subjects.map((kind) => model.subjects.get(kind)?.type),
        ...parts.categories.map((no) => model.categories.get(no)?.type),
      ];
      const covered = COORDINATES.filter((coordinate) => types.includes(coordinate.split('.')[0]));
      const fields = covered.map((coordinate, i) => [coordinate, given[i % given.length]] as const);
      return {
        ...parts,
        policy: 'test',
        article: 'HN-23.2',
        rows: { region, publicity, subject },
        fields: new Map(fields.filter((entry): entry is [string, 'allow' | 'mask'] => entry[1] !== 'deny')),
      };
    });
const rule = ruleWith(always);
const restriction: fc.Arbitrary<Restriction> = fc
  .record({
    id: fc.uuid(),
    departments: fc.subarray(['health', 'tax'], { minLength: 1 }),
    roles: fc.subarray(['officer', 'auditor']),
    purposes: fc.subarray(['bidding', 'fiscal-support', 'credit-evaluation']),
    most: fc.dictionary(fc.constantFrom(...COORDINATES), fc.constantFrom('mask' as const, 'deny' as const), { maxKeys: 60 }),
    rows: fc.record({
      region: fc.constantFrom('own' as const, 'any' as const),
      publicity: fc.constantFrom('public' as const, 'any' as const),
    }),
  })
  .map(({ most, ...parts }) => ({
    ...parts,
    policy: 'restrictions',
    article: 'HN-5',
    most: new Map(Object.entries(most)),
    term: { from: undefined, until: undefined },
  }));
const rules = fc.uniqueArray(rule, { maxLength: 4, selector: (one) => one.id });
const selected = fc.subarray(COORDINATES, { minLength: 1, maxLength: 60 });
const asking = fc.record({
  caller: caller(fc.constantFrom('health', 'tax')),
  purpose: fc.constantFrom('bidding', 'fiscal-support', 'credit-evaluation'),
});

const withRules = (of: readonly PolicyRule[], restrictions: readonly Restriction[] = []): Model => ({
  ...model,
  rules: [...of],
  restrictions: [...restrictions],
});
const question = (coordinates: readonly string[], constrained: readonly string[] = []): Asked => ({
  selected: new Set(coordinates),
  explicit: new Set(coordinates),
  constrained: new Set(constrained),
});
const stated = (code: string): { code: string; basis: string; case: string } => ({ code, basis: '', case: 'C-1' });

/** The grant, or the code of the refusal. */
function decided(of: Model, who: Caller, purpose: string, asked: Asked): Grant | string {
  try {
    return decide(of, who, stated(purpose), asked, TODAY);
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}
const accessOf = (grant: Grant | string, coordinate: string): Decision['access'] =>
  typeof grant === 'string' ? 'deny' : (grant.decisions.get(coordinate)?.access ?? 'deny');

/* ---- the decision ---- */

describe('the decision', () => {
  it('HUB-4 gives nothing without a rule: whoever asks, whatever for, any of it', () => {
    fc.assert(
      fc.property(caller(fc.constantFrom(...DEPARTMENTS)), fc.constantFrom(...PURPOSES), selected, (who, purpose, coordinates) => {
        expect(decided(withRules([]), who, purpose, question(coordinates))).toBe('NO_POLICY');
        expect(coordinates.map((coordinate) => explain(withRules([]), who, stated(purpose), coordinate, TODAY).access)).toEqual(
          coordinates.map(() => 'deny'),
        );
      }),
    );
  });

  it('HUB-4 never loses a field or a row by one more rule: policies only add', () => {
    fc.assert(
      fc.property(asking, rules, rule, selected, ({ caller: who, purpose }, before, more, coordinates) => {
        const one = decided(withRules(before), who, purpose, question(coordinates));
        const two = decided(withRules([...before, more]), who, purpose, question(coordinates));
        for (const coordinate of coordinates)
          expect(RANK[accessOf(two, coordinate)]).toBeGreaterThanOrEqual(RANK[accessOf(one, coordinate)]);
        if (typeof one !== 'string') expect(typeof two === 'string' ? [] : two.scopes).toEqual(expect.arrayContaining([...one.scopes]));
      }),
    );
  });

  it('HUB-4 never gains a field or a row by one more restriction: restrictions only remove', () => {
    fc.assert(
      fc.property(
        asking,
        rules,
        fc.array(restriction, { maxLength: 3 }),
        restriction,
        selected,
        ({ caller: who, purpose }, some, restrictions, more, coordinates) => {
          const one = decided(withRules(some, restrictions), who, purpose, question(coordinates));
          const two = decided(withRules(some, [...restrictions, more]), who, purpose, question(coordinates));
          for (const coordinate of coordinates)
            expect(RANK[accessOf(two, coordinate)]).toBeLessThanOrEqual(RANK[accessOf(one, coordinate)]);
          if (typeof one === 'string' || typeof two === 'string') return expect(two).toEqual(one);
          for (const scope of two.scopes)
            expect(one.scopes.some((wider) => wider.rule === scope.rule && contains(wider, scope))).toBe(true);
        },
      ),
    );
  });

  it('HN-5 names the restriction that took a field away', () => {
    fc.assert(
      fc.property(asking, rules, restriction, selected, ({ caller: who, purpose }, some, one, coordinates) => {
        const grant = decided(withRules(some, [one]), who, purpose, question(coordinates));
        if (typeof grant === 'string') return;
        for (const { coordinate, access, rule: by } of grant.decisions.values())
          if (by === one.id)
            expect([one.most.has(coordinate) || one.rows.region === 'own', access]).toEqual([true, access === 'mask' ? 'mask' : 'deny']);
      }),
    );
  });

  it('HUB-4 gives by a rule nothing outside its term, and on its first and last day all', () => {
    fc.assert(
      fc.property(
        asking,
        fc.uniqueArray(ruleWith(term), { maxLength: 4, selector: (one) => one.id }),
        selected,
        ({ caller: who, purpose }, some, coordinates) => {
          const inTerm = some.filter((one) => (one.term.from ?? TODAY) <= TODAY && (one.term.until ?? TODAY) >= TODAY);
          const asked = question(coordinates);
          expect(decided(withRules(some), who, purpose, asked)).toEqual(decided(withRules(inTerm), who, purpose, asked));
        },
      ),
    );
  });

  it('HUB-4 lists nothing by a rule for statistics, and counts nothing by one for reading', () => {
    fc.assert(
      fc.property(asking, rules, selected, ({ caller: who, purpose }, some, coordinates) => {
        const grant = decided(withRules(some), who, purpose, question(coordinates));
        const reading = some.filter((one) => one.use === 'reading');
        const without = decided(withRules(reading), who, purpose, question(coordinates));
        if (typeof grant === 'string' || typeof without === 'string') return expect(grant).toEqual(without);
        expect(grant.scopes).toEqual(without.scopes);
        expect(grant.decisions).toEqual(without.decisions);
        const ids = new Set(some.filter((one) => one.use === 'statistics').map((one) => one.id));
        expect(grant.statistics.every((scope) => ids.has(scope.rule))).toBe(true);
      }),
    );
  });

  it('WG-10 opens nothing of its own subject to a caller whose identity is not proved, nor of a case to one who states none', () => {
    fc.assert(
      fc.property(asking, rules, ({ caller: who, purpose }, some) => {
        const open = scopesOf(
          withRules(some),
          { caller: { ...who, subject: undefined }, purpose: { code: purpose, basis: '', case: ' ' }, today: TODAY },
          'reading',
        );
        expect(open.map(({ full }) => full.tie?.by).filter((by) => by === 'self' || by === 'own-case')).toEqual([]);
      }),
    );
  });

  it('HUB-4 does not depend on the order of the rules', () => {
    fc.assert(
      fc.property(
        asking,
        rules.chain((some) => fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length }))),
        selected,
        fc.subarray(COORDINATES, { maxLength: 2 }),
        ({ caller: who, purpose }, [some, shuffled], coordinates, constrained) => {
          const one = decided(withRules(some), who, purpose, question(coordinates, constrained));
          const two = decided(withRules(shuffled), who, purpose, question(coordinates, constrained));
          if (typeof one === 'string' || typeof two === 'string') return expect(two).toEqual(one);
          const shape = (grant: Grant): unknown =>
            coordinates.map((coordinate) => {
              const { access, lift, told, partly } = grant.decisions.get(coordinate) as Decision;
              return { coordinate, access, lift, told, partly: partly !== undefined };
            });
          expect(shape(two)).toEqual(shape(one));
          expect(new Set(two.rules)).toEqual(new Set(one.rules));
        },
      ),
    );
  });

  it('U2 gives a field only by a rule of this department, role and purpose that gives it', () => {
    fc.assert(
      fc.property(asking, rules, selected, ({ caller: who, purpose }, some, coordinates) => {
        const grant = decided(withRules(some), who, purpose, question(coordinates));
        if (typeof grant === 'string') return;
        for (const { coordinate, access, rule: id } of grant.decisions.values()) {
          const by = some.find((one) => one.id === id);
          if (access === 'deny') expect(by).toBeUndefined();
          else expect(by?.fields.get(coordinate)).toBe(access);
          if (by)
            expect([
              by.departments.includes(who.department),
              by.purposes.includes(purpose),
              who.purposes?.includes(purpose) ?? true,
            ]).toEqual([true, true, true]);
        }
      }),
    );
  });

  it('P10 lets nobody filter by a field that some row of the grant does not show unmasked', () => {
    fc.assert(
      fc.property(asking, rules, fc.constantFrom(...COORDINATES), ({ caller: who, purpose }, some, coordinate) => {
        const grant = decided(withRules(some), who, purpose, question([coordinate], [coordinate]));
        if (typeof grant === 'string') return expect(['NO_POLICY', 'FILTER_DENIED']).toContain(grant);
        const { access, partly } = grant.decisions.get(coordinate) as Decision;
        expect([access, partly]).toEqual(['allow', undefined]);
      }),
    );
  });

  it('U3 explains with the same answer that the query gets', () => {
    fc.assert(
      fc.property(asking, rules, selected, ({ caller: who, purpose }, some, coordinates) => {
        const grant = decided(withRules(some), who, purpose, question(coordinates));
        for (const coordinate of coordinates)
          expect(explain(withRules(some), who, stated(purpose), coordinate, TODAY).access).toBe(accessOf(grant, coordinate));
      }),
    );
  });

  it.each(['', '43', '000000', '43000a', '全国'])(
    'HUB-4 opens no rows of an own region to a caller whose region is none (%j)',
    (region) => {
      const who: Caller = { id: 'x', name: '陈静', department: 'health', role: 'officer', region, actingFor: '', purposes: undefined };
      expect(decided(model, who, 'credit-evaluation', question(['Organisation.name']))).toBe('NO_POLICY');
    },
  );
});

/* ---- rows ---- */

/** A record with its subject, and the ties that hold for it: what the store tells in SQL, told here in the plainest way. */
interface Row {
  subject: 'organisation' | 'person';
  roles: string[];
  category: number;
  kind: string;
  region: string;
  publicity: string;
  self: string;
  /** Categories of a valid consent. */
  consented: number[];
  ownCase: boolean;
}
const row: fc.Arbitrary<Row> = fc.record({
  subject: fc.constantFrom('organisation' as const, 'person' as const),
  roles: fc.subarray(ROLES),
  category: fc.constantFrom(1, 2, 3, 11),
  kind: fc.constantFrom('penalty', 'other'),
  region: fc.constantFrom('430000', '430100', '430102', '430199', '410000', '439900'),
  publicity: fc.constantFrom('public', 'non-public'),
  self: fc.constantFrom('one', 'two', 'three'),
  consented: fc.subarray([1, 2, 3, 11]),
  ownCase: fc.boolean(),
});

function holdsRecord(scope: Scope, of: Row): boolean {
  const tie = scope.tie?.by;
  return (
    scope.subjects.includes(of.subject) &&
    (scope.subjectRoles.length === 0 || scope.subjectRoles.some((role) => of.roles.includes(role))) &&
    scope.categories.includes(of.category) &&
    (scope.kinds.length === 0 || scope.kinds.includes(of.kind)) &&
    (scope.region === undefined || of.region.startsWith(scope.region) || scope.above.includes(of.region)) &&
    (!scope.publicOnly || of.publicity === 'public') &&
    (tie === undefined ||
      tie === 'recorded' ||
      (tie === 'self' && scope.tie?.by === 'self' && scope.tie.code === of.self) ||
      (tie === 'consented' && of.consented.includes(of.category)) ||
      (tie === 'own-case' && of.ownCase))
  );
}

describe('scopes', () => {
  it('L44 one that contains another holds every row of it: masks, conditions and partial answers hang on that', () => {
    fc.assert(
      fc.property(asking, rules, fc.array(row, { minLength: 30, maxLength: 60 }), ({ caller: who, purpose }, some, rows) => {
        const scopes = scopesOf(withRules(some), { caller: who, purpose: stated(purpose), today: TODAY }, 'reading').map(
          ({ full }) => full,
        );
        for (const outer of scopes)
          for (const inner of scopes) {
            if (!contains(outer, inner)) continue;
            const shared = rows.filter((one) => outer.categories.includes(one.category) && holdsRecord(inner, one));
            expect(shared.filter((one) => !holdsRecord(outer, one))).toEqual([]);
          }
      }),
      { numRuns: 300 },
    );
  });

  it('HN-6 own-and-above adds the records that the prefecture and the province keep themselves, and none of their other counties', () => {
    const one = { ...model.rules.find((r) => r.id === 'development-reform/credit-governance') } as PolicyRule;
    const who = {
      id: 'x',
      name: '陈静',
      department: 'development-reform',
      role: 'officer',
      region: '430102',
      actingFor: '',
      purposes: undefined,
    };
    const [scope] = scopesOf(withRules([one]), { caller: who, purpose: stated('bidding'), today: TODAY }, 'reading');
    expect([scope?.full.region, scope?.full.above]).toEqual([regionPrefix('430102'), ['430100', '430000']]);
  });
});

/* ---- statements ---- */

describe('the statements of a query', () => {
  /** What every read of a grant would send to PostgreSQL. */
  async function statements(grant: Grant): Promise<{ text: string; values: readonly unknown[] }[]> {
    const sent: { text: string; values: readonly unknown[] }[] = [];
    const pool: Walled = {
      async read(_enter, text, values = []) {
        sent.push({ text, values: [...values] });
        return { rows: [], rowCount: 0 };
      },
    };
    const keys = openKeys(fixedRing());
    const reader = openReader(pool, keys, model, grant);
    const page = { first: 20, after: undefined };
    await reader.subjectByCode('H43010200001', undefined, '2026-11-23');
    await reader.subjectsByRowId([1, 2]);
    await reader.subjects({}, page);
    await reader.records({}, page);
    await reader.recordsOf([1, 2], {}, page);
    await reader.countsOf([1, 2], {});
    await reader.pushable([{ recordId: 1, version: 1 }]);
    return sent;
  }
  const fixedRing = () => {
    const key = Buffer.alloc(32, 7);
    const one = (id: string) => [{ id, key }];
    const single = { suite: 'international' as const, active: 'k1', live: 'b1', fingerprint: key, opaque: key };
    return writeRing({ ...single, seal: one('k1'), blind: one('b1'), log: one('l1') });
  };
  const own = fc.record({
    caller: caller(fc.constantFrom('health', 'market-supervision', 'tax', 'medical-insurance')).map((who) => ({
      ...who,
      purposes: undefined,
    })),
    purpose: fc.constantFrom('administrative-inspection', 'credit-evaluation', 'fiscal-support', 'administrative-licence'),
  });

  it('P10 are the same as if the denied fields had not been asked at all', async () => {
    await fc.assert(
      fc.asyncProperty(own, selected, async ({ caller: who, purpose }, coordinates) => {
        const grant = decided(model, who, purpose, question(coordinates));
        if (typeof grant === 'string') return;
        const given = coordinates.filter((coordinate) => accessOf(grant, coordinate) !== 'deny');
        const less = decide(model, who, stated(purpose), question(given), TODAY);
        expect(await statements(grant)).toEqual(await statements(less));
      }),
      { numRuns: 60 },
    );
  });

  it('P10 name no field that is denied', async () => {
    await fc.assert(
      fc.asyncProperty(own, selected, async ({ caller: who, purpose }, coordinates) => {
        const grant = decided(model, who, purpose, question(coordinates));
        if (typeof grant === 'string') return;
        const names = (access: (of: string) => boolean): Set<string> =>
          new Set([...grant.decisions.values()].filter((d) => access(d.access)).map((d) => d.coordinate.split('.')[1] ?? ''));
        const given = names((access) => access !== 'deny');
        const text = (await statements(grant)).map((statement) => statement.text).join('\n');
        for (const name of names((access) => access === 'deny')) if (!given.has(name)) expect(text).not.toContain(`'${name}'`);
        for (const name of given) expect(text).toContain(`'${name}'`);
      }),
      { numRuns: 60 },
    );
  });

  it('HN-5 read the mask and not the value where every rule masks', async () => {
    const who: Caller = {
      id: 'x',
      name: '刘洋',
      department: 'market-supervision',
      role: 'officer',
      region: '430000',
      actingFor: '',
      purposes: undefined,
    };
    const grant = decide(model, who, stated('bidding'), question(['RegistrationRecord.legalRepresentative']), TODAY);
    const text = (await statements(grant)).map((statement) => statement.text).join('\n');
    expect(text).toContain("masks->'legalRepresentative'");
    expect(text).not.toMatch(/(open|internal|commercial|personal|sealed)->'legalRepresentative'/);
  });

  it('HUB-4 are none where the grant is empty', async () => {
    const grant: Grant = { policy: 'test', purpose: 'bidding', rules: [], scopes: [], statistics: [], decisions: new Map() };
    expect(await statements(grant)).toEqual([]);
  });
});
