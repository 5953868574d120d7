import { type DocumentNode, type GraphQLSchema, getOperationAST, parse, validate } from 'graphql';
import type { Caller, Purpose } from '../access/caller.ts';
import type { Grant } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import type { Placed } from '../log/read.ts';
import type { Model } from '../model/types.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { type Deciding, deciding } from './decision.ts';
import { enumValues, loggedVariables, withPlaceholders } from './literals.ts';

/** What a change of the policies would do to the queries of one department, role and purpose. */
export interface Change {
  department: string;
  role: string;
  purpose: string;
  /** Queries with a difference. */
  queries: number;
  /** Queries that would be refused as a whole, and that no longer would. */
  newlyRefused: number;
  newlyAnswered: number;
  /** Coordinate → queries in which it would be seen less (not at all, or masked) or more. */
  newlyDenied: Record<string, number>;
  newlyRevealed: Record<string, number>;
  newlyMasked: Record<string, number>;
  newlyUnmasked: Record<string, number>;
  /** Coordinates given as before, but in other rows. */
  otherRows: Record<string, number>;
  /** Log entries with a difference, `writer/seq`, the first ten. */
  examples: string[];
}

/** The exact difference that the changed policies make to logged queries (U4). */
export interface ReplayReport {
  before: string[];
  after: string;
  replayed: number;
  changed: number;
  /** Entries that could not be decided again, by reason. */
  left: Record<string, number>;
  /** Entries whose recorded decision is not what the policies of then decide today: the log or the kept policies are not what they were. */
  unfaithful: string[];
  newlyDenied: number;
  newlyRevealed: number;
  changes: Change[];
}

export interface Replaying {
  schema: GraphQLSchema;
  /** The model of a version that is named in an entry; undefined when it is not kept. */
  before(version: string): Promise<Model | undefined>;
  after: Model;
  entries: AsyncIterable<Placed>;
  /** The texts of documents by their hash. */
  texts(hashes: readonly string[]): Promise<Map<string, string>>;
}

type Access = 'allow' | 'mask' | 'deny';
/** Codes of refusals that are decisions about access; a query refused for anything else was never decided. */
const DECIDED = new Set(['', 'NO_POLICY', 'FILTER_DENIED', 'ACCESS_DENIED', 'SUBJECT_NOT_FOUND']);
const EXAMPLES = 10;

/**
 * Decides logged queries again, by the policies that decided them and by changed ones, and says what is different. Reads who asked, for what, and the
 * document from the log, never data; rows and values play no part in a decision, so the difference in fields is exact. Documents are read by the graph
 * of today: those that no longer fit it are counted under `left`.
 */
export async function replay(of: Replaying): Promise<ReplayReport> {
  const documents = new Map<string, DocumentNode | undefined>();
  const deciders = new Map<string, Deciding | undefined>();
  const after = deciding(of.schema, of.after);
  const enums = enumValues(of.schema);
  const changes = new Map<string, Change>();
  const report: ReplayReport = {
    before: [],
    after: of.after.version,
    replayed: 0,
    changed: 0,
    left: {},
    unfaithful: [],
    newlyDenied: 0,
    newlyRevealed: 0,
    changes: [],
  };
  const leave = (why: string) => void (report.left[why] = (report.left[why] ?? 0) + 1);

  for await (const placed of of.entries) {
    const { entry } = placed;
    if (entry.kind !== 'query' || entry.document === '' || !DECIDED.has(entry.code)) continue;
    if (!documents.has(entry.document)) {
      const text = (await of.texts([entry.document])).get(entry.document);
      documents.set(entry.document, text === undefined ? undefined : readDocument(of.schema, text));
    }
    const document = documents.get(entry.document);
    if (document === undefined) {
      leave('the document does not fit the graph of today');
      continue;
    }
    if (!deciders.has(entry.policy)) {
      const model = await of.before(entry.policy);
      deciders.set(entry.policy, model && deciding(of.schema, model));
      if (model) report.before.push(entry.policy);
    }
    const before = deciders.get(entry.policy);
    if (before === undefined) {
      leave('the policies that decided it are not kept');
      continue;
    }
    const operation = getOperationAST(document, entry.operation);
    if (!operation) {
      leave('the operation is not named');
      continue;
    }
    const caller: Caller = callerOf(placed);
    const purpose: Purpose = { code: entry.purpose.code, basis: entry.purpose.basis ?? '', case: entry.purpose.case ?? '' };
    const question = {
      document,
      operationName: entry.operation ?? '',
      variables: loggedVariables(operation, entry.variables, enums),
      caller,
      purpose,
      today: dayInShanghai(placed.at),
    };
    const was = attempt(before, question);
    const is = attempt(after, question);
    report.replayed += 1;
    if (entry.outcome === 'answered' && !agrees(was, placed)) report.unfaithful.push(`${placed.writer}/${placed.seq}`);
    const key = JSON.stringify([caller.department, caller.role, purpose.code]);
    const change = changes.get(key) ?? emptyChange(caller, purpose.code);
    if (!compare(was, is, change)) continue;
    changes.set(key, change);
    report.changed += 1;
    change.queries += 1;
    if (change.examples.length < EXAMPLES) change.examples.push(`${placed.writer}/${placed.seq}`);
  }
  report.changes = [...changes.values()].sort((a, b) => b.queries - a.queries || (a.department < b.department ? -1 : 1));
  for (const { newlyDenied, newlyRevealed } of report.changes) {
    report.newlyDenied += sum(newlyDenied);
    report.newlyRevealed += sum(newlyRevealed);
  }
  return report;
}

/** A document of the log, where the graph of today has what it asks for. */
function readDocument(schema: GraphQLSchema, text: string): DocumentNode | undefined {
  try {
    const document = withPlaceholders(schema, parse(text));
    return validate(schema, document, undefined, { maxErrors: 1, hideSuggestions: true }).length > 0 ? undefined : document;
  } catch {
    return undefined;
  }
}

function callerOf({ entry }: Placed): Caller {
  const { person, department, role, region, actingFor } = entry;
  return {
    id: person.id,
    name: person.name,
    department: department ?? '',
    role: role ?? '',
    region: region ?? '',
    actingFor: actingFor ?? '',
    purposes: undefined,
    // Whose own file was asked for is in no entry; that it was proved is: else the query would have been refused before any decision.
    subject: { scheme: '?', code: '?' },
  };
}

/** The grant, or the code with which the whole query is refused. */
function attempt(decider: Deciding, question: Parameters<Deciding['grant']>[0]): Grant | string {
  try {
    return decider.grant(question);
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

/** Whether a decision made again masks and denies what the entry says. */
function agrees(was: Grant | string, { entry }: Placed): boolean {
  if (typeof was === 'string') return false;
  const told = [...was.decisions.values()].filter((d) => d.told);
  const of = (wanted: (d: (typeof told)[number]) => boolean) =>
    told
      .filter(wanted)
      .map((d) => d.coordinate)
      .sort()
      .join();
  const masked = of((d) => d.access === 'mask' || d.partly !== undefined);
  const denied = of((d) => d.access === 'deny');
  return masked === [...entry.masked].sort().join() && denied === [...entry.denied].sort().join();
}

const accessOf = (grant: Grant | string, coordinate: string): Access =>
  typeof grant === 'string' ? 'deny' : (grant.decisions.get(coordinate)?.access ?? 'deny');

/** Adds the difference between two decisions; false when there is none. */
function compare(was: Grant | string, is: Grant | string, change: Change): boolean {
  let different = false;
  const note = (counts: Record<string, number>, coordinate: string) => {
    counts[coordinate] = (counts[coordinate] ?? 0) + 1;
    different = true;
  };
  if (typeof was !== typeof is) {
    different = true;
    if (typeof is === 'string') change.newlyRefused += 1;
    else change.newlyAnswered += 1;
  }
  const coordinates = new Set([was, is].flatMap((grant) => (typeof grant === 'string' ? [] : [...grant.decisions.keys()])));
  for (const coordinate of coordinates) {
    const [before, now] = [accessOf(was, coordinate), accessOf(is, coordinate)];
    if (before === now) {
      if (before !== 'deny' && rowsOf(was, coordinate) !== rowsOf(is, coordinate)) note(change.otherRows, coordinate);
    } else if (now === 'deny') note(change.newlyDenied, coordinate);
    else if (before === 'deny') note(change.newlyRevealed, coordinate);
    else note(now === 'mask' ? change.newlyMasked : change.newlyUnmasked, coordinate);
  }
  return different;
}

/** In which rows a grant gives a coordinate, and how: the conditions of its scopes, in one form, whatever the rules are called. */
function rowsOf(grant: Grant | string, coordinate: string): string {
  if (typeof grant === 'string') return '';
  return grant.scopes
    .filter((scope) => scope.fields.has(coordinate))
    .map(({ rule: _rule, article: _article, fields, ...rows }) => JSON.stringify([fields.get(coordinate), rows]))
    .sort()
    .join();
}

function emptyChange({ department, role }: Caller, purpose: string): Change {
  const counts = () => ({});
  return {
    department,
    role,
    purpose,
    queries: 0,
    newlyRefused: 0,
    newlyAnswered: 0,
    newlyDenied: counts(),
    newlyRevealed: counts(),
    newlyMasked: counts(),
    newlyUnmasked: counts(),
    otherRows: counts(),
    examples: [],
  };
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, n) => total + n, 0);
