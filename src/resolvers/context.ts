import type { Caller, Purpose } from '../access/caller.ts';
import type { Grant } from '../access/decide.ts';
import type { Kind } from '../log/entry.ts';
import type { Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Reader } from '../store/reader.ts';
import type { Counted } from '../store/under-way.ts';
import type { Batches } from './batches.ts';
import type { MediaType } from './request.ts';
import type { Turn } from './turn.ts';

/** What a request carries from HTTP to the answer. `grant`, `reader` and `batches` exist once the decision is made, before anything runs. */
export interface Context {
  readonly startedAt: number;
  readonly caller: Caller;
  /** As stated; checked in the decision. */
  readonly purpose: Purpose | undefined;
  /** `X-Access: strict`: a query with a denied field is refused as a whole. */
  readonly strict: boolean;
  readonly method: 'GET' | 'POST';
  /** Of the answer. */
  readonly mediaType: MediaType;
  /** Client address, for the log. */
  readonly client: string;
  readonly model: Model;
  /** For the work beside reading; credit information itself is read through the grant's reader alone. */
  readonly services: { sql: Counted; keys: Keys; allowsWebhook?: ((url: string) => boolean) | undefined };
  /** The day in Asia/Shanghai. */
  readonly today: string;
  /** Whether the log has an entry of this request, and what kind it is where the resolver knows better. An object of its own: Apollo works on a copy of the context. */
  readonly audit: { logged: boolean; kind?: Kind };
  /** Of a subscription: the run that this is. */
  readonly turn?: Turn | undefined;
  granted: { grant: Grant; reader: Reader; batches: Batches } | undefined;
}

/** The granted part, for resolvers: they run only after the decision. */
export function grantedOf(context: Context): NonNullable<Context['granted']> {
  if (context.granted === undefined) throw new Error('a resolver ran before the decision');
  return context.granted;
}
