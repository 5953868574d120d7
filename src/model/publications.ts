import type { Acknowledges, FieldValue, Json, Publication, PushDeadline, Wire, WirePart } from './types.ts';

type PartYaml = string | { of: string; lookup?: Record<string, string> } | { literal: FieldValue };
type AsksYaml = { path: string; body: Json; absent: { at: string; equals: string }; afterSeconds?: number };
type DraftsYaml = { number: string; path: string; body: Json };

/** As long as a call may be under way. */
const LONGEST_CALL_S = 30;

export interface PublicationYaml {
  category: number;
  kinds?: string[];
  only?: Record<string, string[]>;
  from?: string[];
  receiver: string;
  purpose: string;
  body: Record<string, PartYaml>;
  recall: { path?: string; body: Record<string, PartYaml> };
  acknowledges: 'keys' | 'none' | { asks: AsksYaml } | { drafts: DraftsYaml };
  deadline?: PushDeadline;
}

/** `publish:` as the rest of the hub sees it: every default decided here. */
export function toPublication(yaml: PublicationYaml): Publication {
  return {
    category: yaml.category,
    kinds: yaml.kinds ?? [],
    only: new Map(Object.entries(yaml.only ?? {})),
    from: yaml.from ?? [],
    receiver: yaml.receiver,
    purpose: yaml.purpose,
    body: toWire(yaml.body),
    recall: { path: yaml.recall.path, body: toWire(yaml.recall.body) },
    acknowledges: toAcknowledges(yaml.acknowledges),
    deadline: yaml.deadline,
  };
}

function toWire(body: Record<string, PartYaml>): Wire {
  return new Map(
    Object.entries(body).map(([key, part]): [string, WirePart] => {
      if (typeof part === 'string') return [key, { of: part, lookup: undefined }];
      if ('literal' in part) return [key, { literal: part.literal }];
      return [key, { of: part.of, lookup: part.lookup && new Map(Object.entries(part.lookup)) }];
    }),
  );
}

function toAcknowledges(yaml: PublicationYaml['acknowledges']): Acknowledges {
  if (typeof yaml === 'string') return { mode: yaml };
  return 'asks' in yaml ? { mode: 'asks', afterSeconds: LONGEST_CALL_S, ...yaml.asks } : { mode: 'drafts', ...yaml.drafts };
}
