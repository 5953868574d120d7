/** P13: how much may be asked and how much runs at once: refused quickly, told when to come back, and one that asks for all harms itself alone. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { Refused } from '../src/errors.ts';
import { openFloods } from '../src/log/floods.ts';
import { openBudgets } from '../src/resolvers/budget.ts';
import { openGate } from '../src/resolvers/gate.ts';
import { ANONYMOUS } from '../src/resolvers/callers.ts';
import { shares } from '../src/store/share.ts';
import { HOSPITAL } from './fixtures/credit-records.ts';
import { openHub, type TestHub } from './setup/hub.ts';
import { MODEL } from './setup/store.ts';
import { sampleEntry } from './fixtures/log-entries.ts';

const GOOD = `{ subject(code: "${HOSPITAL.identifiers[0].code}") { name } }`;
const caller = (id: string, department = 'health') => ({ ...ANONYMOUS, id, department });
const ENDLESS = { burst: 1e12, perMinute: 1e12 };
const codeOf = (work: () => void): string => {
  try {
    work();
    return '';
  } catch (error) {
    return error instanceof Refused ? error.code : String(error);
  }
};

describe('P13 a budget', () => {
  const limitsWith = (person: { burst: number; perMinute: number }, department = ENDLESS) => ({
    ...MODEL.limits,
    budgets: { request: 1, person, department, stranger: ENDLESS },
  });

  it('never gives more than can be spent at once and what has come back, in whatever order it is asked', () => {
    const step = fc.record({ wait: fc.nat(20_000), rows: fc.nat(60) });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 600 }),
        (steps, burst, perMinute) => {
          let now = 0;
          const budgets = openBudgets(limitsWith({ burst, perMinute }), () => now);
          let spent = 0;
          for (const { wait, rows } of steps) {
            now += wait;
            if (codeOf(() => budgets.rows(caller('a'), rows)) === '') spent += rows;
            if (spent > burst + (now * perMinute) / 60_000 + 1e-6) return false;
          }
          return true;
        },
      ),
    );
  });

  it('takes nothing when it refuses, and keeps what it says of when to come back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 1000 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 200 }),
        (burst, perMinute, costs) => {
          let now = 0;
          const budgets = openBudgets(limitsWith({ burst, perMinute }), () => now);
          for (const cost of costs) {
            try {
              budgets.rows(caller('a'), cost);
            } catch (error) {
              const { retryAfter } = (error as Refused).details as { retryAfter: number };
              expect(codeOf(() => budgets.rows(caller('a'), cost))).toBe('BUDGET_EXCEEDED');
              now += retryAfter * 1000;
              expect(codeOf(() => budgets.rows(caller('a'), cost))).toBe('');
            }
          }
        },
      ),
    );
  });

  it('of a person is its own, that of a department all its persons share, and what one refuses the other does not spend', () => {
    const budgets = openBudgets(limitsWith({ burst: 10, perMinute: 1 }, { burst: 25, perMinute: 1 }), () => 0);
    const spend = (id: string, rows: number, department = 'health') => codeOf(() => budgets.rows(caller(id, department), rows));
    expect([spend('a', 10), spend('a', 1), spend('b', 10)]).toEqual(['', 'BUDGET_EXCEEDED', '']);
    expect([spend('c', 6), spend('c', 5), spend('d', 1)]).toEqual(['BUDGET_EXCEEDED', '', 'BUDGET_EXCEEDED']);
    expect(spend('a', 10, 'tax')).toBe('');
  });

  it('is that of the department where one is given', () => {
    const limits = limitsWith({ burst: 10, perMinute: 1 });
    const own = { ...limits, budgets: { ...limits.budgets, departments: { tax: { person: { burst: 500, perMinute: 1 } } } } };
    const budgets = openBudgets(own, () => 0);
    expect(codeOf(() => budgets.rows(caller('a', 'tax'), 500))).toBe('');
    expect(codeOf(() => budgets.rows(caller('a', 'health'), 500))).toBe('BUDGET_EXCEEDED');
  });
});

describe('P13 the gate', () => {
  const gateWith = (changes: Partial<Record<keyof typeof MODEL.limits.capacity, number>>) => {
    const capacity = Object.fromEntries(
      Object.entries(MODEL.limits.capacity).map(([name, limit]) => [
        name,
        { ...limit, max: changes[name as keyof typeof changes] ?? 1000 },
      ]),
    ) as typeof MODEL.limits.capacity;
    return openGate({ ...MODEL.limits, capacity });
  };

  it('lets departments take turns: one that asks a hundred times keeps nobody waiting but itself', async () => {
    const gate = gateWith({ running: 1 });
    const order: string[] = [];
    const run = async (id: string, department: string) => {
      const leave = await gate.enter(caller(id, department));
      order.push(department);
      await sleep(0);
      leave();
    };
    await Promise.all([...Array.from({ length: 100 }, () => run('a', 'health')), run('b', 'tax'), run('c', 'tax')]);
    expect(order).toHaveLength(102);
    expect(order.indexOf('tax')).toBeLessThanOrEqual(2);
    expect(order.lastIndexOf('tax')).toBeLessThanOrEqual(4);
  });

  it('never lets more run than its limits, whoever comes and goes, and in the end everybody has run', async () => {
    const comer = fc.record({ id: fc.constantFrom('a', 'b', 'c'), department: fc.constantFrom('health', 'tax') });
    await fc.assert(
      fc.asyncProperty(fc.array(comer, { maxLength: 40 }), async (comers) => {
        const gate = gateWith({ running: 4, department: 3, person: 2 });
        const now = new Map<string, number>();
        const add = (key: string, change: number) => now.set(key, (now.get(key) ?? 0) + change).get(key) ?? 0;
        let ran = 0;
        await Promise.all(
          comers.map(async ({ id, department }) => {
            const leave = await gate.enter(caller(id, department));
            expect([add('all', 1) <= 4, add(department, 1) <= 3, add(`${department}${id}`, 1) <= 2]).toEqual([true, true, true]);
            await sleep(0);
            for (const key of ['all', department, `${department}${id}`]) add(key, -1);
            ran += 1;
            leave();
            leave();
          }),
        );
        expect(ran).toBe(comers.length);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses at once when too many wait, those who wait too long, and keeps room for others', async () => {
    const gate = gateWith({ running: 1, waiting: 3, departmentWaiting: 2, wait: 50 });
    const leave = await gate.enter(caller('a'));
    const enter = (department: string) =>
      gate.enter(caller('b', department)).then(
        () => 'entered',
        (error: Refused) => error.code,
      );
    const waiting = [enter('health'), enter('health')];
    expect(await enter('health')).toBe('OVERLOADED');
    waiting.push(enter('tax'));
    expect(await enter('market-supervision')).toBe('OVERLOADED');
    expect(await Promise.all(waiting)).toEqual(['OVERLOADED', 'OVERLOADED', 'OVERLOADED']);
    leave();
    expect(await enter('health')).toBe('entered');
  });
});

describe('P13 a hub under budgets', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await openHub({
      budgets: {
        person: { burst: 600, perMinute: 1 },
        department: { burst: 1500, perMinute: 1 },
        stranger: { burst: 50, perMinute: 1 },
        departments: { tax: { person: ENDLESS, department: ENDLESS } },
      },
    });
  });
  afterAll(() => hub.close());

  const as = async (id: string, department = 'health') => ({ authorization: `Bearer ${await hub.token({ id, department })}` });

  it('refuses who has spent all with 429 and Retry-After, logs it, and goes on answering others', async () => {
    const spender = await as('spender');
    const first = await hub.logged(() => hub.ask('{ subjects(first: 200) { nodes { id } } }', spender));
    expect(first.result.status).toBe(200);
    const { result, added } = await hub.logged(() =>
      hub.ask('{ subjects(first: 200) { nodes { records(first: 2) { nodes { id } } } } }', spender),
    );
    expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({
      status: 429,
      codes: ['BUDGET_EXCEEDED'],
      data: undefined,
    });
    expect(result.errors[0]?.extensions['retryAfter']).toBeGreaterThan(0);
    expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.rows, entry.person.id])).toEqual([
      ['refused', 'BUDGET_EXCEEDED', 0, 'spender'],
    ]);
    expect((await hub.ask(GOOD, spender)).status).toBe(200);
    expect((await hub.ask(GOOD, await as('other'))).status).toBe(200);
    const response = await fetch(`${hub.url}/graphql`, {
      method: 'POST',
      headers: { ...spender, 'x-purpose': 'credit-evaluation', 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ subjects(first: 200) { nodes { records(first: 2) { nodes { id } } } } }' }),
    });
    expect([response.status, Number(response.headers.get('retry-after')) > 0]).toEqual([429, true]);
  });

  it('counts the refusals of one who does not stop, so that none is missing and the log does not fill', async () => {
    const flooder = await as('flooder');
    const { result, added } = await hub.logged(async () => {
      const answers = [];
      for (let i = 0; i < 100; i += 1) answers.push(await hub.ask(GOOD, flooder));
      return answers;
    });
    const refused = result.filter(({ status }) => status === 429);
    const answered = result.filter(({ status }) => status === 200);
    expect(refused.length + answered.length).toBe(100);
    expect(refused.length).toBeGreaterThan(20);
    const [row] = added.filter(({ entry }) => entry.code === 'BUDGET_EXCEEDED');
    expect(added).toHaveLength(answered.length + 1);
    for (const answer of refused) expect(answer.extensions['log']).toMatchObject({ writer: row?.writer, seq: row?.seq, hash: row?.hash });
  });

  it('holds for what is no query, too', async () => {
    const sender = await as('sender');
    const codes = [];
    for (let i = 0; i < 80; i += 1) codes.push(...(await hub.send(undefined, sender, 'PUT')).codes);
    expect(new Set(codes)).toEqual(new Set(['METHOD_NOT_ALLOWED', 'BUDGET_EXCEEDED']));
  });

  it('bounds what an address without a valid token can write into the log, and not those who have one', async () => {
    const { result, added } = await hub.logged(async () => {
      const codes = [];
      for (let i = 0; i < 20; i += 1) codes.push(...(await hub.ask(GOOD, { authorization: 'Bearer x.y.z' })).codes);
      return codes;
    });
    expect(result.slice(0, 5)).toEqual(Array(5).fill('TOKEN_INVALID'));
    expect(result.slice(5)).toEqual(Array(15).fill('BUDGET_EXCEEDED'));
    expect(added.map(({ entry }) => entry.code)).toEqual([...Array(5).fill('TOKEN_INVALID'), 'BUDGET_EXCEEDED']);
    expect((await hub.ask(GOOD, { ...(await as('clerk', 'tax')), purpose: 'fiscal-support' })).status).toBe(200);
  });
});

describe('P13 a hub that is full', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await openHub({ capacity: { running: 1, waiting: 1, wait: 400 }, limits: { milliseconds: 2000 } });
  });
  afterAll(() => hub.close());

  it('refuses the next one at once and the waiting one in time, with 503 and Retry-After, and answers again', async () => {
    const { result, added } = await hub.logged(() =>
      hub.pool.transaction(async (sql) => {
        await sql.query('lock table subject, record in access exclusive mode');
        const running = hub.ask(GOOD);
        await sleep(100);
        const [waited, refused] = await Promise.all([hub.ask(GOOD), sleep(100).then(() => hub.ask(GOOD))]);
        return { running: await running, waited, refused };
      }),
    );
    expect([result.waited, result.refused].map(({ status, codes, data }) => [status, codes, data])).toEqual([
      [503, ['OVERLOADED'], undefined],
      [503, ['OVERLOADED'], undefined],
    ]);
    // What ran was ended at its deadline by PostgreSQL, although nobody gave the lock back.
    expect([result.running.status, result.running.codes]).toEqual([503, ['DEADLINE_EXCEEDED']]);
    expect(added.map(({ entry }) => entry.code).sort()).toEqual(['DEADLINE_EXCEEDED', 'OVERLOADED']);
    expect((await hub.ask(GOOD)).data).toEqual({ subject: { name: HOSPITAL.name } });
  });

  it('P13 one department cannot hold all connections', async () => {
    const poolOf = shares(hub.pool, 3);
    let done = 0;
    const slow = Array.from({ length: 12 }, () =>
      poolOf('health')
        .query('select pg_sleep(0.2)')
        .then(() => void (done += 1)),
    );
    await poolOf('tax').query('select 1');
    expect(done).toBeLessThan(6);
    await Promise.all(slow);
    const failing = await Promise.allSettled(Array.from({ length: 9 }, () => poolOf('health').query('select 1/0')));
    expect(failing.map(({ status }) => status)).toEqual(Array(9).fill('rejected'));
    expect((await poolOf('health').query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }]);
  });

  it('P2 the counted refusals are in the log with their number', async () => {
    const floods = openFloods(hub.log, (error) => void hub.faults.push(error), 60_000);
    const { added } = await hub.logged(async () => {
      const entry = sampleEntry(0, { code: 'BUDGET_EXCEEDED', outcome: 'refused', document: '', variables: '{}', client: '10.1.2.3' });
      const receipts = await Promise.all(Array.from({ length: 50 }, () => floods.append(entry)));
      expect(new Set(receipts.map(({ hash }) => hash)).size).toBe(1);
      await floods.append({ ...entry, client: '10.0.0.9' });
      await floods.flush();
      await floods.append(entry);
    });
    expect(added.map(({ entry }) => [entry.code, entry.client, entry.variables])).toEqual([
      ['BUDGET_EXCEEDED', '10.1.2.3', '{}'],
      ['BUDGET_EXCEEDED', '10.0.0.9', '{}'],
      ['BUDGET_EXCEEDED', '10.1.2.3', '{"times":49}'],
      ['BUDGET_EXCEEDED', '10.1.2.3', '{}'],
    ]);
  });

  it('P1 none of this was a fault of the hub', () => expect(hub.faults).toEqual([]));
});
