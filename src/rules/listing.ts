import type { Ban, ListRule, Pack, SubjectKind, WorkingCalendar } from '../model/types.ts';
import { dueOf } from './clock.ts';
import { addDays } from './calendar.ts';

/** What a listing rests on. */
export interface Listing {
  kind: SubjectKind;
  circumstances: readonly string[];
  /** Parts of the notice that was served before, and of the decision document, by their codes. */
  notice: Readonly<Record<string, string>>;
  document: Readonly<Record<string, string>>;
  /** Named persons by their relation to the organisation. */
  names: Readonly<Record<string, string>>;
  /** An objection that was raised before the decision, and whether it was answered. */
  objection?: { raisedOn: string; answeredOn?: string | undefined } | undefined;
}

export interface ListingAnswer {
  may: boolean;
  missing: { part: 'circumstance' | 'notice' | 'document' | 'name' | 'objection'; code: string }[];
}

const given = (texts: Readonly<Record<string, string>>, code: string): boolean => (texts[code] ?? '').trim() !== '';

/**
 * Whether a subject may be put on a list, and every part that is missing (HN-35, ZM-3.2.7, U19): a circumstance of the list, the notice, the decision
 * document, the answer to an objection, and of an organisation the persons that it must name – at least one of them.
 */
export function mayList(rule: ListRule, listing: Listing): ListingAnswer {
  const missing: ListingAnswer['missing'] = [];
  const foreign = listing.circumstances.filter((one) => !rule.circumstances.includes(one));
  if (listing.circumstances.length === 0) missing.push({ part: 'circumstance', code: '' });
  for (const code of foreign) missing.push({ part: 'circumstance', code });
  for (const code of rule.notice) if (!given(listing.notice, code)) missing.push({ part: 'notice', code });
  for (const code of rule.document) if (!given(listing.document, code)) missing.push({ part: 'document', code });
  if (listing.kind === 'organisation' && rule.names.length > 0 && !rule.names.some((code) => given(listing.names, code)))
    missing.push({ part: 'name', code: rule.names.join('|') });
  if (listing.objection && listing.objection.answeredOn === undefined) missing.push({ part: 'objection', code: 'unanswered' });
  return { may: missing.length === 0, missing };
}

/** Last day on which a listing is public, from the day of its recognition; nothing where the list has no term (HN-33). */
export function listedUntil(calendar: WorkingCalendar, pack: Pack, rule: ListRule, recognisedOn: string): string | undefined {
  const clock = rule.published === undefined ? undefined : pack.clocks.get(rule.published);
  return clock && dueOf(calendar, clock, recognisedOn).day;
}

export interface BanPeriod {
  from: string;
  /** Last day of the ban. */
  to: string;
  relations: readonly string[];
}

/** The days of a ban that was decided on a day: from the day after it (ZM-3.2.6, HN-33). */
export function banOf(calendar: WorkingCalendar, pack: Pack, ban: Ban, decidedOn: string): BanPeriod {
  const clock = pack.clocks.get(ban.clock);
  if (clock === undefined) throw new RangeError(`${pack.id} has no clock ${ban.clock}`);
  return { from: addDays(decidedOn, 1), to: dueOf(calendar, clock, decidedOn).day, relations: ban.relations };
}

/** Whether a person who appears in an institution on a day does so under a ban (U20). */
export const isBanned = ({ from, to, relations }: BanPeriod, relation: string, day: string): boolean =>
  relations.includes(relation) && day >= from && day <= to;
