/** One caller before two worlds: the same documents over HTTP in both, their answers and the statements behind them compared. */
import { createHash } from 'node:crypto';
import { type ASTNode, type DocumentNode, Kind, parse, print, visit } from 'graphql';
import { decide, type Grant } from '../../src/access/decide.ts';
import { needsOfPurpose } from '../../src/model/check-policies.ts';
import type { Model, SubjectKind } from '../../src/model/types.ts';
import { buildGraph } from '../../src/resolvers/schema.ts';
import { randomOf } from '../../src/sandbox/random.ts';
import { newKeyRing } from '../../src/store/keys.ts';
import type { Pool as SqlPool, Sql } from '../../src/store/sql.ts';
import { CALLER_REGION } from '../fixtures/population.ts';
import { type Document, type Documents, documentsOf, OF_THE_MOMENT } from './graph-documents.ts';
import { CASE_STATED, openHub, type TestHub, TODAY } from './hub.ts';
import { MODEL } from './store.ts';
import { buildWorld, emptyPool, planOf, type Side } from './two-worlds.ts';
import { Answers, valuesOf } from './world-values.ts';
import { addWork } from './world-work.ts';

/** A kind of caller: everyone to whom the same rules and duties apply. */
export interface CallerCase {
  name: string;
  department: string;
  role: string;
  purpose: string;
  /** What the caller's token proves it to be. */
  own: SubjectKind | undefined;
  rules: string[];
}
type Asker = Pick<CallerCase, 'department' | 'role' | 'purpose' | 'own'>;

/**
 * One caller for every set of rules that some caller can have at once, and as many more as it takes for every duty. Of those with the same rules it is
 * the one with the most duties. No rule and no duty of the model is left out.
 */
export function callerCases(model: Model): CallerCase[] {
  const roles = new Set(['officer', ...[...model.rules, ...model.duties].flatMap((one) => one.roles)]);
  const departments = new Set([...model.rules, ...model.duties].flatMap((one) => one.departments));
  const purposes = new Set(model.rules.flatMap((rule) => rule.purposes));
  const every: (CallerCase & { duties: string[] })[] = [];
  for (const department of departments)
    for (const role of roles)
      for (const purpose of purposes)
        for (const own of [undefined, 'organisation', 'person'] as const) {
          const { rules } = grantFor(model, { department, role, purpose, own });
          const isSelf = model.rules.some((rule) => rules.includes(rule.id) && rule.rows.subject === 'self');
          // A proof of identity makes another caller only where a rule asks for it.
          if (own !== undefined && !isSelf) continue;
          const held = model.duties.filter((duty) => duty.departments.includes(department) && duty.roles.includes(role));
          const name = `${department}, ${role}, ${purpose}${own === undefined ? '' : `, itself a ${own}`}`;
          every.push({ name, department, role, purpose, own, rules: [...rules], duties: held.map(({ duty }) => duty) });
        }
  every.sort((a, b) => b.duties.length - a.duties.length);
  const byRules = Map.groupBy(
    every.filter(({ rules }) => rules.length > 0),
    ({ rules, own }) => JSON.stringify([rules, own]),
  );
  const chosen = [...byRules.values()].flatMap((alike) => alike.slice(0, 1));
  for (const one of every) if (one.duties.some((duty) => !chosen.some(({ duties }) => duties.includes(duty)))) chosen.push(one);
  return chosen;
}

/** Any code does: the scopes of a grant are the same for all. */
const SOME_CODE = { organisation: { scheme: 'uscc', code: '-' }, person: { scheme: 'citizen-id', code: '-' } };

export function grantFor(model: Model, { department, role, purpose, own }: Asker): Grant {
  const caller = {
    id: 'wj-0001',
    name: '陈静',
    department,
    role,
    region: CALLER_REGION,
    actingFor: '',
    purposes: undefined,
    subject: own && SOME_CODE[own],
  };
  const none: ReadonlySet<string> = new Set();
  const stated = needsOfPurpose(model, purpose).includes('case') ? CASE_STATED : '';
  return decide(model, caller, { code: purpose, basis: '', case: stated }, { selected: none, explicit: none, constrained: none }, TODAY);
}

export interface Difference {
  number: number;
  document: Document;
  what: 'answer' | 'statements';
  A: string;
  B: string;
}
export interface Told {
  asked: number;
  /** Answered with something beside nulls. */
  answered: number;
  codes: Map<string, number>;
  /** Types of which rows were answered. */
  types: Set<string>;
  difference: Difference | undefined;
}
export interface Pair {
  hubs: Record<Side, TestHub>;
  documents: Documents;
  /** Asks `count` more documents, or until a difference is found. */
  run(count: number): Promise<Told>;
  /** All that lies in a world's records, as one hash. */
  rows(side: Side): Promise<string>;
  close(): Promise<void>;
}

/** The statements by their hashes, to be told with a difference. */
const texts = new Map<string, string>();

/** What the hub does of its own accord, and when, is of the clock: the log, the counts of use, the registered documents read again every few seconds, the feed of changes put in order. */
const OF_THE_CLOCK =
  /\b(query_log|log_writer|field_usage\w*|pg_advisory_xact_lock|trusted_document where withdrawn_at is null|feed|feed_new|feed_start)\b/;

/** All of a hub's work but its statements ends within a few turns of the event loop. */
const QUIET_TURNS = 20;

interface Traced {
  pool: SqlPool;
  /** What was asked since, once nothing is under way: an error may answer a request whose other fields are still being read. */
  take(answeredEarly: boolean): Promise<string>;
}

/**
 * Notes every statement: the hash of its text and how many rows it gave or touched. One runs at a time, in the order of asking: which of two comes
 * back first would else decide what is read together and which error is told first, by chance.
 */
function traced(pool: SqlPool): Traced {
  let statements: string[] = [];
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work, work);
    last = result.catch(() => undefined);
    return result;
  };
  let underWay = 0;
  const noted = async <R>(text: string, ask: () => Promise<{ rows: R[]; rowCount: number }>) => {
    underWay += 1;
    try {
      const result = await ask();
      const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
      texts.set(hash, text);
      if (!OF_THE_CLOCK.test(text)) statements.push(`${hash}:${result.rowCount}`);
      return result;
    } finally {
      underWay -= 1;
    }
  };
  const noting = (sql: Sql): Sql => ({
    query: <R>(text: string, values?: readonly unknown[]) => noted(text, () => sql.query<R>(text, values)),
    transaction: (work) => sql.transaction((tx) => work(noting(tx))),
  });
  const inOrder = (sql: Sql): Sql => ({
    query: (text, values) => inTurn(() => sql.query(text, values)),
    transaction: (work) => inTurn(() => sql.transaction(work)),
  });
  return {
    pool: {
      ...inOrder(noting(pool)),
      read: <R>(enter: string, text: string, values?: readonly unknown[]) =>
        inTurn(() => noted(text, () => pool.read<R>(enter, text, values))),
      dedicated: () => pool.dedicated(),
      close: () => pool.close(),
    },
    async take(answeredEarly) {
      for (let quiet = answeredEarly ? 0 : QUIET_TURNS; quiet < QUIET_TURNS;) {
        await new Promise((resolve) => setImmediate(resolve));
        quiet = underWay === 0 ? quiet + 1 : 0;
      }
      const taken = statements.toSorted();
      statements = [];
      return taken.join(' ');
    },
  };
}

export interface PairOptions {
  /** How often each coordinate was used before; counted on. */
  coverage?: Map<string, number>;
  /** Breaks the way to the database, for the tests of the test. */
  doctor?: (pool: SqlPool) => SqlPool;
}

export async function openPair(
  caller: CallerCase,
  seed: number,
  { coverage = new Map(), doctor = (pool) => pool }: PairOptions = {},
): Promise<Pair> {
  const grant = grantFor(MODEL, caller);
  const plan = planOf(MODEL, seed, caller.own);
  const pool = emptyPool();
  const ring = newKeyRing();
  const traces: Partial<Record<Side, Traced>> = {};
  const open = async (side: Side): Promise<TestHub> => {
    const hub = await openHub({
      seed: false,
      ring,
      serve: (own) => {
        const trace = traced(doctor(own));
        traces[side] = trace;
        return trace.pool;
      },
    });
    await buildWorld(hub, plan, { ...caller, lists: listsOf(caller) }, grant, side, seed, pool);
    await addWork(hub, side, seed, CALLER_REGION);
    return hub;
  };
  const [A, B] = await Promise.all([open('A'), open('B')]);
  const hubs = { A, B };
  const answers = new Answers();
  const documents = documentsOf(
    buildGraph(MODEL),
    randomOf(seed, `documents of ${caller.name}`),
    valuesOf(MODEL, randomOf(seed, `values of ${caller.name}`), pool, answers, A.keys),
    coverage,
    // Whoever may count rows that it may not list counts those that differ: what the counts hide has a test of its own.
    new Set(grant.statistics.length > 0 ? ['statistics'] : []),
  );
  const { department, role, purpose } = caller;
  const code = plan.subjects[plan.ties.own ?? -1]?.identifiers[0]?.code;
  const claims = { department, role, region: CALLER_REGION, ...(code === undefined ? {} : { subject: code }) };
  const authorization = { A: `Bearer ${await A.token(claims)}`, B: `Bearer ${await B.token(claims)}` };
  const started = new Date().toISOString();

  async function askIn(
    side: Side,
    document: Document,
  ): Promise<{ text: string; statements: string; types: string[]; raw: string; codes: string[]; data: unknown; refusing: string[] }> {
    const answer = await hubs[side].ask(document.query, { authorization: authorization[side], purpose, variables: document.variables });
    const text = `${answer.status} ${comparable(document, answer.text, started)}`;
    const types = [...answer.text.matchAll(/"__typename":"(\w+)"/g)].map(([, name]) => name ?? '');
    return {
      text,
      statements: (await traces[side]?.take(answer.errors.some((error) => error.path !== undefined))) ?? '',
      types,
      raw: answer.text,
      codes: answer.codes,
      data: answer.data,
      refusing: answer.errors.flatMap((e) => (e.extensions.code === 'DUTY_REQUIRED' ? [String(e.path?.[0])] : [])),
    };
  }

  async function differ(
    document: Document,
    number: number,
  ): Promise<{ difference: Difference | undefined; A: Awaited<ReturnType<typeof askIn>> }> {
    const [a, b] = await Promise.all([askIn('A', document), askIn('B', document)]);
    if (a.text !== b.text) return { A: a, difference: { number, document, what: 'answer', A: a.text, B: b.text } };
    if (a.statements !== b.statements)
      return { A: a, difference: { number, document, what: 'statements', A: a.statements, B: b.statements } };
    return { A: a, difference: undefined };
  }

  return {
    hubs,
    documents,
    async rows(side) {
      const { rows } = await hubs[side].pool.query<{ all: string }>(
        `select md5(string_agg(concat(r.id, r.open, r.internal, r.commercial, r.personal, r.masks), ',' order by r.id)) as all from record r`,
      );
      return rows[0]?.all ?? '';
    },
    async run(count) {
      const told: Told = { asked: 0, answered: 0, codes: new Map(), types: new Set(), difference: undefined };
      while (told.asked < count) {
        told.asked += 1;
        const { difference, A: answer } = await differ(documents.next(), told.asked);
        if (difference !== undefined) {
          told.difference = await shrunk(difference, async (document) => (await differ(document, difference.number)).difference);
          break;
        }
        answers.learn(answer.raw);
        for (const root of answer.refusing) documents.avoid(root);
        if (JSON.stringify(answer.data ?? null).replaceAll(/null|"\w+":|[{}[\],]/g, '') !== '') told.answered += 1;
        for (const code of new Set(answer.codes)) told.codes.set(code, (told.codes.get(code) ?? 0) + 1);
        for (const type of answer.types) told.types.add(type);
      }
      return told;
    },
    close: async () => void (await Promise.all([A.close(), B.close()])),
  };
}

function listsOf({ department, role, own }: CallerCase): 'all' | 'own' | 'none' {
  const isWindow = MODEL.duties.some(
    (one) => one.duty === 'enter-consents' && one.departments.includes(department) && one.roles.includes(role),
  );
  return isWindow ? 'all' : own === undefined ? 'none' : 'own';
}

/** The answer without what is of the request alone: its log entry, instants since the test began, and the order of what is drawn by lot. */
function comparable(document: Document, text: string, started: string): string {
  const body = JSON.parse(text) as { data?: Record<string, unknown> | null; extensions?: Record<string, unknown> };
  if (body.extensions) delete body.extensions['log'];
  for (const name of document.drawn)
    if (Array.isArray(body.data?.[name])) body.data[name] = body.data[name].map((one: unknown) => JSON.stringify(one)).sort();
  const timeless = JSON.stringify(body, (key, value: unknown) => (OF_THE_MOMENT.has(key) ? null : value));
  return timeless.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (instant) => (instant >= started ? 'now' : instant));
}

/** Leaves out of a document whatever it still differs without. */
async function shrunk(found: Difference, again: (document: Document) => Promise<Difference | undefined>): Promise<Difference> {
  if (found.document.query.startsWith('mutation')) return found;
  let best = found;
  for (let at = 0, tries = 0; tries < 200; tries += 1) {
    const smaller = withoutNth(parse(best.document.query), at);
    if (smaller === undefined) break;
    const next = isDocument(smaller) ? await again({ ...best.document, query: smaller }) : undefined;
    if (next === undefined || next.A.includes('GRAPHQL_')) at += 1;
    else best = next;
  }
  return best;
}

/** A selection that lost its last field is none. */
function isDocument(text: string): boolean {
  try {
    return parse(text).definitions.length > 0;
  } catch {
    return false;
  }
}

/** The document without its n-th field or fragment; undefined when there are not so many. */
function withoutNth(document: DocumentNode, n: number): string | undefined {
  let seen = -1;
  const leave = (_node: ASTNode) => (++seen === n ? null : undefined);
  const smaller: DocumentNode = visit(document, {
    [Kind.FIELD]: { enter: leave },
    [Kind.INLINE_FRAGMENT]: { enter: leave },
    [Kind.FRAGMENT_SPREAD]: { enter: leave },
  });
  return seen < n ? undefined : print(smaller);
}

export function toldOf(caller: CallerCase, seed: number, { number, document, what, A, B }: Difference): string {
  let at = 0;
  while (at < A.length && A[at] === B[at]) at += 1;
  const part = (text: string) => text.slice(Math.max(0, at - 200), at + 300);
  const hashes = (text: string) => new Set(what === 'statements' ? text.split(' ').map((one) => one.slice(0, 8)) : []);
  const onOne = [...hashes(A).symmetricDifference(hashes(B))].map((hash) => `${hash} ${texts.get(hash)?.slice(0, 300)}`);
  return [
    `${caller.name}: the two worlds differ in the ${what} (seed ${seed}, document ${number})`,
    document.query,
    JSON.stringify(document.variables),
    `A …${part(A)}`,
    `B …${part(B)}`,
    ...onOne,
  ].join('\n');
}
