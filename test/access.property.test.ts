/** What must hold for every caller, purpose, set of rules and question. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Asked, Caller } from '../src/access/caller.ts';
import { type Decision, decide, explain, type Grant } from '../src/access/decide.ts';
import { Refused } from '../src/errors.ts';
import { loadModel } from '../src/model/load.ts';
import type { Model, PolicyRule } from '../src/model/types.ts';
import { openKeys } from '../src/store/keys.ts';
import { writeRing } from '../src/store/ring.ts';
import { openReader } from '../src/store/reader.ts';
import type { Walled } from '../src/store/sql.ts';
import { coordinatesOf } from './fixtures/whole-graph.ts';

const model = loadModel(new URL('../schema/', import.meta.url).pathname);
const COORDINATES = coordinatesOf(model);
const PURPOSES = [...(model.codes.get('purposes')?.values.keys() ?? [])];
const DEPARTMENTS = [...(model.codes.get('departments')?.values.keys() ?? [])];
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
  });
const rule: fc.Arbitrary<PolicyRule> = fc
  .record({
    id: fc.uuid(),
    departments: fc.subarray(['health', 'tax'], { minLength: 1 }),
    roles: fc.subarray(['officer', 'auditor']),
    purposes: fc.subarray(['bidding', 'fiscal-support', 'credit-evaluation'], { minLength: 1 }),
    subjects: fc.subarray(['organisation', 'person'] as const, { minLength: 1 }),
    categories: fc.subarray([1, 2, 3, 11], { minLength: 1 }),
    kinds: fc.constantFrom<string[][]>([], ['penalty']),
    region: fc.constantFrom('own' as const, 'any' as const),
    publicity: fc.constantFrom('public' as const, 'any' as const),
    given: fc.array(fc.constantFrom('allow' as const, 'mask' as const, 'deny' as const), { minLength: 7, maxLength: 7 }),
  })
  .map(({ region, publicity, given, ...parts }) => {
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
      rows: { region, publicity },
      fields: new Map(fields.filter((entry): entry is [string, 'allow' | 'mask'] => entry[1] !== 'deny')),
    };
  });
const rules = fc.uniqueArray(rule, { maxLength: 4, selector: (one) => one.id });
const selected = fc.subarray(COORDINATES, { minLength: 1, maxLength: 60 });
const asking = fc.record({
  caller: caller(fc.constantFrom('health', 'tax')),
  purpose: fc.constantFrom('bidding', 'fiscal-support', 'credit-evaluation'),
});

const withRules = (of: readonly PolicyRule[]): Model => ({ ...model, rules: [...of] });
const question = (coordinates: readonly string[], constrained: readonly string[] = []): Asked => ({
  selected: new Set(coordinates),
  explicit: new Set(coordinates),
  constrained: new Set(constrained),
});
const stated = (code: string): { code: string; basis: string; case: string } => ({ code, basis: '', case: '' });

/** The grant, or the code of the refusal. */
function decided(of: Model, who: Caller, purpose: string, asked: Asked): Grant | string {
  try {
    return decide(of, who, stated(purpose), asked);
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
        expect(coordinates.map((coordinate) => explain(withRules([]), who, purpose, coordinate).access)).toEqual(
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
          expect(explain(withRules(some), who, purpose, coordinate).access).toBe(accessOf(grant, coordinate));
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
        const less = decide(model, who, stated(purpose), question(given));
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
    const grant = decide(model, who, stated('bidding'), question(['RegistrationRecord.legalRepresentative']));
    const text = (await statements(grant)).map((statement) => statement.text).join('\n');
    expect(text).toContain("masks->'legalRepresentative'");
    expect(text).not.toMatch(/(open|internal|commercial|personal|sealed)->'legalRepresentative'/);
  });

  it('HUB-4 are none where the grant is empty', async () => {
    const grant: Grant = { policy: 'test', purpose: 'bidding', rules: [], scopes: [], decisions: new Map() };
    expect(await statements(grant)).toEqual([]);
  });
});
