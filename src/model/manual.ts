import { BREAKER, LIMITS } from './connectors.ts';
import type { Category, Connector, Kind, Mapping, Model, PullStream, Value } from './types.ts';

/** The connector of what people enter by hand. It has no platform: its streams exist so that such records have a provenance like all others. */
export const MANUAL = 'manual-entry';

/** Source keys of an entry beside the catalog fields. */
export const ENTRY_KEYS = {
  reference: '@reference',
  subjectKind: '@subjectKind',
  code: '@code',
  name: '@name',
  region: '@region',
  occurredOn: '@occurredOn',
  validFrom: '@validFrom',
  validTo: '@validTo',
} as const;

/**
 * The connector `manual-entry`, built from the catalog: one stream per category and kind, each catalog field under its own name, dates as
 * YYYY-MM-DD and money in fen. So an entry by hand is checked by the very rules that check a platform's records.
 */
export function manualConnector(categories: Model['categories']): Connector {
  const streams = [...categories.values()].flatMap((category) => [...category.kinds.values()].map((kind) => manualStream(category, kind)));
  return {
    id: MANUAL,
    zh: '人工录入与主体自主申报',
    en: 'Manual entry and self-declared information',
    department: 'medical-insurance',
    article: 'HN-6.2',
    route: 'subject',
    officer: { id: 'manual-entry', name: '录入人见各条记录' },
    settings: new Map(),
    feedback: undefined,
    limits: LIMITS,
    breaker: BREAKER,
    streams: new Map(streams.map((s) => [s.id, s])),
  };
}

/** Id of the stream of a kind: kinds of different categories may share a name. */
export function manualStreamId(category: Category, kind: string): string {
  return `${category.id}-${kind}`;
}

function manualStream(category: Category, kind: Kind): PullStream {
  const mapping: Mapping = {
    category: category.no,
    kind: kind.id,
    subject: {
      kind: {
        from: ENTRY_KEYS.subjectKind,
        lookup: new Map([
          ['organisation', 'organisation'],
          ['person', 'person'],
        ]),
      },
      name: value(ENTRY_KEYS.name),
      region: value(ENTRY_KEYS.region),
      roles: [],
      identifiers: [{ scheme: 'statutory', value: value(ENTRY_KEYS.code) }],
    },
    key: [ENTRY_KEYS.reference],
    version: undefined,
    deleted: undefined,
    region: value(ENTRY_KEYS.region),
    occurredOn: value(ENTRY_KEYS.occurredOn),
    validFrom: value(ENTRY_KEYS.validFrom),
    validTo: value(ENTRY_KEYS.validTo),
    fields: new Map(
      [...category.fields.values()].map((field) => [
        field.name,
        { ...value(field.name), money: field.type === 'money' ? 'fen' : undefined },
      ]),
    ),
    ignore: new Set(),
  };
  return {
    connector: MANUAL,
    id: manualStreamId(category, kind.id),
    zh: kind.zh,
    en: kind.en,
    article: kind.article,
    schedule: undefined,
    after: [],
    windows: [],
    direction: 'pull',
    via: { kind: 'manual' },
    mapping,
  };
}

function value(from: string): Value {
  return {
    from: [from],
    literal: undefined,
    lookup: undefined,
    date: undefined,
    none: [],
    money: undefined,
    first: undefined,
    required: false,
  };
}
