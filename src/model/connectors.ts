import { type PublicationYaml, toPublication } from './publications.ts';
import { type ReconcileYaml, toReconcile } from './reconcile.ts';
import type {
  BreakerSettings,
  CallLimits,
  Connector,
  Dictionary,
  FieldValue,
  Hours,
  HttpVia,
  Json,
  LoginAuth,
  Mapping,
  NationalInsuranceVia,
  PushVia,
  Setting,
  Stream,
  SubjectKind,
  SubjectMapping,
  Value,
  Via,
} from './types.ts';

interface ValueYaml {
  from?: string | string[];
  literal?: FieldValue;
  lookup?: Record<string, string>;
  date?: string;
  none?: string[];
  money?: Value['money'];
  first?: number;
  required?: boolean;
}
type ValueShort = string | ValueYaml;
type SchemeYaml = string | { from: string; lookup: Record<string, string> };
interface MappingYaml {
  category: number;
  kind: string;
  subject: {
    kind: SubjectKind | 'by-number' | { from: string; lookup: Record<string, SubjectKind> };
    name?: ValueShort;
    region?: ValueShort;
    roles?: string[];
    identifiers: ({ scheme: SchemeYaml; whenValid?: boolean } & ValueYaml)[];
  };
  key: string[];
  version?: ValueShort;
  deleted?: { from: string; values: string[] };
  region?: ValueShort;
  occurredOn?: ValueShort;
  validFrom?: ValueShort;
  validTo?: ValueShort;
  mostMonths?: number;
  relations?: {
    kind: string;
    to: SubjectKind;
    name?: ValueShort;
    identifiers: MappingYaml['subject']['identifiers'];
    validFrom?: ValueShort;
    validTo?: ValueShort;
  }[];
  fields: Record<string, ValueShort>;
  /** A list inside the list is an anchor: columns that many tables of the platform share. */
  ignore?: (string | string[])[];
  route?: { from: string | string[]; lookup: Record<string, string>; codes: string };
  alternatives?: (Pick<MappingYaml, 'category' | 'kind' | 'fields'> & Partial<MappingYaml>)[];
}
type DictionaryYaml = Record<'type' | 'code' | 'name', ValueShort> &
  Partial<Record<'parent' | 'region' | 'validFrom' | 'validTo' | 'version', ValueShort>> & {
    valid?: { from: string; values: string[] };
    ignore?: (string | string[])[];
  };
type HoursYaml = Partial<Hours> & Pick<Hours, 'from' | 'to'>;
interface StreamYaml {
  zh: string;
  en: string;
  article: string;
  schedule?: string;
  after?: string[];
  windows?: HoursYaml[];
  pull?: { via: string } & Record<string, unknown>;
  mapping?: MappingYaml;
  dictionary?: DictionaryYaml;
  push?: { via: string } & Record<string, unknown>;
  publish?: PublicationYaml;
  reconcile?: ReconcileYaml;
}
export interface ConnectorYaml {
  connector: string;
  zh: string;
  en: string;
  department: string;
  article: string;
  route: string;
  officer: { id: string; name: string };
  settings?: Record<string, { env: string; default?: string; secret?: boolean }>;
  feedback?: { infno: string; article: string };
  limits?: Partial<CallLimits>;
  windows?: { pull?: HoursYaml[]; push?: HoursYaml[] };
  breaker?: Partial<BreakerSettings>;
  streams: Record<string, StreamYaml>;
}

/** What a platform bears that says nothing of it. A minute's budget far above any sync, so that a mistake of ours is no flood. */
export const LIMITS: CallLimits = { perMinute: 12_000, perHour: undefined, perDay: undefined, concurrent: 8 };
/** A platform that does not answer is left alone for ten seconds at a time: it is back in use ten seconds after it is back. */
export const BREAKER: BreakerSettings = { failures: 5, within: 60, open: 10 };

/** A connector file as the rest of the hub sees it: every default decided here and nowhere else. */
export function toConnector(yaml: ConnectorYaml): Connector {
  const settings = new Map<string, Setting>(
    Object.entries(yaml.settings ?? {}).map(([name, s]) => [name, { env: s.env, default: s.default, secret: s.secret ?? false }]),
  );
  const streams = new Map(Object.entries(yaml.streams).map(([id, s]) => [id, toStream(yaml, id, s)]));
  return {
    id: yaml.connector,
    zh: yaml.zh,
    en: yaml.en,
    department: yaml.department,
    article: yaml.article,
    route: yaml.route,
    officer: yaml.officer,
    settings,
    feedback: yaml.feedback,
    limits: { ...LIMITS, ...yaml.limits },
    breaker: { ...BREAKER, ...yaml.breaker },
    streams,
  };
}

function toStream({ connector, windows }: ConnectorYaml, id: string, s: StreamYaml): Stream {
  const hours = s.windows ?? windows?.[s.push === undefined ? 'pull' : 'push'] ?? [];
  const base = {
    connector,
    id,
    zh: s.zh,
    en: s.en,
    article: s.article,
    schedule: s.schedule,
    after: s.after ?? [],
    windows: hours.map((one) => ({ days: one.days ?? 'every', from: one.from, to: one.to })),
    reconcile: toReconcile(s.reconcile),
  };
  if (s.push !== undefined && s.publish !== undefined) {
    return { ...base, direction: 'push', via: toPushVia(s.push), publish: toPublication(s.publish) };
  }
  if (s.pull !== undefined && s.dictionary !== undefined)
    return { ...base, direction: 'dictionary', via: toVia(s.pull), dictionary: toDictionary(s.dictionary) };
  if (s.pull === undefined || s.mapping === undefined) throw new Error(`${connector}/${id}: neither pull nor push`);
  return { ...base, direction: 'pull', via: toVia(s.pull), mapping: toMapping(s.mapping) };
}

function toVia(pull: { via: string } & Record<string, unknown>): Via {
  const { via, ...rest } = pull;
  switch (via) {
    case 'http': {
      const http = rest as unknown as Partial<HttpVia> & Pick<HttpVia, 'base' | 'path' | 'items'>;
      return {
        kind: 'http',
        base: http.base,
        method: http.method ?? 'GET',
        path: http.path,
        headers: http.headers ?? {},
        query: http.query ?? {},
        body: http.body,
        ok: http.ok,
        error: http.error,
        items: http.items,
        total: http.total,
        auth: toLogin(http.auth),
        paging: http.paging,
      };
    }
    case 'national-insurance': {
      const each = rest['each'] as Partial<NonNullable<NationalInsuranceVia['each']>> | undefined;
      return {
        kind: 'national-insurance',
        infno: rest['infno'] as string,
        input: rest['input'] as Json,
        node: (rest['node'] as string | undefined) ?? '',
        first: rest['first'] as string[] | undefined,
        each: each && { scheme: each.scheme, ask: each.ask, with: each.with ?? {}, size: each.size ?? 20 },
        file: rest['file'] as NationalInsuranceVia['file'],
        onBehalf: (rest['onBehalf'] as boolean | undefined) ?? false,
      };
    }
    case 'database':
      return {
        kind: 'database',
        url: rest['url'] as string,
        table: rest['table'] as string,
        size: (rest['size'] as number | undefined) ?? 500,
        watermark: rest['watermark'] as { time: string; id: string; overlapMinutes: number } | undefined,
        exchange: rest['exchange'] as { flag: string; pending: string; done: string; order: string } | undefined,
      };
    default: {
      const { folder, prefix, feedback } = rest as { folder?: string; prefix?: string; feedback?: { folder: string; key: string } };
      return { kind: 'file', format: 'csv', drop: folder === undefined ? undefined : { folder, prefix: prefix ?? '', feedback } };
    }
  }
}

function toLogin(auth: LoginAuth | undefined): LoginAuth | undefined {
  return auth && { ...auth, prefix: auth.prefix ?? '', expired: auth.expired ?? [] };
}

function toPushVia(push: { via: string } & Record<string, unknown>): PushVia {
  const { via, ...rest } = push;
  if (via === 'http') {
    const http = { headers: {}, keyHeader: undefined, echo: undefined, signature: undefined, ...rest } as unknown as Extract<
      PushVia,
      { kind: 'http' }
    >;
    return { ...http, kind: 'http', auth: toLogin(http.auth) };
  }
  if (via === 'file') return { ...(rest as unknown as Extract<PushVia, { kind: 'file' }>), kind: 'file' };
  return { ...(rest as unknown as Extract<PushVia, { kind: 'database' }>), kind: 'database' };
}

const mapOf = <T>(record: Record<string, T> | undefined): Map<string, T> | undefined => record && new Map(Object.entries(record));

const listOf = (from: string | string[]): string[] => (typeof from === 'string' ? [from] : from);

function toValue(value: ValueShort): Value {
  const v: ValueYaml = typeof value === 'string' ? { from: value } : value;
  return {
    from: v.from === undefined ? [] : listOf(v.from),
    literal: v.literal,
    lookup: mapOf(v.lookup),
    date: v.date,
    none: v.none ?? [],
    money: v.money,
    first: v.first,
    required: v.required ?? false,
  };
}

function toIdentifiers(yaml: MappingYaml['subject']['identifiers']): SubjectMapping['identifiers'] {
  return yaml.map(({ scheme, whenValid, ...v }) => ({
    scheme: typeof scheme === 'string' ? scheme : { from: scheme.from, lookup: new Map(Object.entries(scheme.lookup)) },
    value: toValue(v),
    whenValid: whenValid ?? false,
  }));
}

const optional = (v: ValueShort | undefined): Value | undefined => (v === undefined ? undefined : toValue(v));

function toDictionary(yaml: DictionaryYaml): Dictionary {
  return {
    type: toValue(yaml.type),
    code: toValue(yaml.code),
    name: toValue(yaml.name),
    parent: optional(yaml.parent),
    region: optional(yaml.region),
    valid: yaml.valid,
    validFrom: optional(yaml.validFrom),
    validTo: optional(yaml.validTo),
    version: optional(yaml.version),
    ignore: new Set((yaml.ignore ?? []).flat()),
  };
}

function toMapping(yaml: MappingYaml): Mapping {
  const { kind } = yaml.subject;
  const subject: SubjectMapping = {
    kind: toSubjectKind(kind),
    name: optional(yaml.subject.name),
    region: optional(yaml.subject.region),
    roles: yaml.subject.roles ?? [],
    identifiers: toIdentifiers(yaml.subject.identifiers),
  };
  const relations = (yaml.relations ?? []).map((r) => ({
    kind: r.kind,
    subject: { kind: { fixed: r.to }, name: optional(r.name), region: undefined, roles: [], identifiers: toIdentifiers(r.identifiers) },
    validFrom: optional(r.validFrom),
    validTo: optional(r.validTo),
  }));
  return {
    category: yaml.category,
    kind: yaml.kind,
    subject,
    key: yaml.key,
    version: optional(yaml.version),
    deleted: yaml.deleted,
    region: optional(yaml.region),
    occurredOn: optional(yaml.occurredOn),
    validFrom: optional(yaml.validFrom),
    validTo: optional(yaml.validTo),
    mostMonths: yaml.mostMonths,
    fields: new Map(Object.entries(yaml.fields).map(([name, v]) => [name, toValue(v)])),
    relations,
    ignore: new Set((yaml.ignore ?? []).flat()),
    route: yaml.route && { from: listOf(yaml.route.from), lookup: new Map(Object.entries(yaml.route.lookup)), codes: yaml.route.codes },
    // An alternative says what differs; subject, key, version and the rest are those of the mapping it belongs to.
    alternatives: (yaml.alternatives ?? []).map((other) => toMapping({ ...yaml, route: undefined, alternatives: undefined, ...other })),
  };
}

function toSubjectKind(kind: MappingYaml['subject']['kind']): SubjectMapping['kind'] {
  if (kind === 'by-number') return kind;
  return typeof kind === 'string' ? { fixed: kind } : { from: kind.from, lookup: new Map(Object.entries(kind.lookup)) };
}
