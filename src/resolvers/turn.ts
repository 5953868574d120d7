import type { Grant } from '../access/decide.ts';
import { Refused } from '../errors.ts';

/** Most changes that one message tells: what a subscription is measured by. */
export const MAX_CHANGES = 50;

/**
 * One run of a subscription's document (GraphQL: ExecuteSubscriptionEvent). Every one is decided anew, and one that has something to tell is logged
 * before it leaves, like any answer. An object of its own: Apollo works on a copy of the context.
 */
export interface Turn {
  /** `opening` tells where the stream stands, `changes` what happened since, `check` nothing: it asks whether the stream may go on. */
  readonly step: 'opening' | 'changes' | 'check';
  /** Place of the feed that was told last; undefined in an opening without one. */
  readonly from: number | undefined;
  /** Place up to which the feed is read. */
  readonly upto: number;
  /** Most changes that this run may tell. */
  readonly most: number;
  /** How the grant was when the stream was opened; undefined in the opening. */
  readonly granted: string | undefined;
  /** Takes units of the caller's budget; throws `Refused` BUDGET_EXCEEDED. */
  readonly charge: (units: number) => void;
  /** Set by the run: how the grant is, how many rows a full message may bring, how far the feed was read, how many changes are told. */
  grant?: string;
  /** Where the message ends. */
  cursor?: string;
  rows: number;
  reached: number;
  told: number;
}

export function turnOf(of: Pick<Turn, 'step' | 'from' | 'upto' | 'granted' | 'charge'> & { most?: number }): Turn {
  return { most: MAX_CHANGES, ...of, rows: 0, reached: of.from ?? of.upto, told: 0 };
}

/** Whether a run has nothing to say: then nothing leaves, and nothing is logged. */
export function isSilent(turn: Turn | undefined): boolean {
  return turn !== undefined && turn.step !== 'opening' && turn.told === 0;
}

/**
 * Holds a stream to the grant that it was opened under. Throws `Refused` GRANT_CHANGED (403) where it is another one now, so that the subscriber asks
 * again and is told what it may see: rules whose term began or ended, another role.
 */
export function holdGrant(turn: Turn, grant: Grant): void {
  turn.grant = textOf(grant);
  if (turn.granted === undefined || turn.granted === turn.grant) return;
  throw new Refused('GRANT_CHANGED', '授权已变更,请重新订阅', { status: 403, details: { article: 'HN-23.2' } });
}

/** All of a grant but the day it was made on. */
function textOf({ policy, rules, scopes, decisions }: Grant): string {
  return JSON.stringify([policy, rules, scopes, [...decisions.values()]], (key, value: unknown) =>
    key === 'day' ? undefined : value instanceof Map ? [...value] : value,
  );
}
