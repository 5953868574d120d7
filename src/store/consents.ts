import type { OwnSubject } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Keys } from './keys.ts';
import { CONSENT_CONTEXT } from './sealed-places.ts';
import type { Sql } from './sql.ts';
import { identifierDomain } from './subjects.ts';

/** Who acts, for a subject or as the subject itself. */
export interface Giver {
  id: string;
  name: string;
}

/** What a subject agrees to (HN-23.1): who may look, what for, into which categories, on which days (both inclusive). */
export interface NewConsent {
  /** A department or a person, by the id of its token: exactly one. */
  department: string | null;
  person: string | null;
  purposes: readonly string[];
  categories: readonly number[];
  validFrom: string;
  validUntil: string;
  /** A code of consent-channels. */
  channel: string;
  /** Where the consent can be proved: a file, a form, the session of the platform. */
  evidence: string;
}

export interface Consent extends NewConsent {
  id: number;
  givenName: string;
  givenAt: string;
  revokedAt: string | null;
}

const COLUMNS = `id, department, person, purposes, categories, valid_from as "validFrom", valid_until as "validUntil", channel, sealed as evidence,
  given_name as "givenName", given_at as "givenAt", revoked_at as "revokedAt"`;

/** Under every form of its code: a consent from before the blind index changed is the same consent. */
const formsOf = (keys: Keys, subject: OwnSubject): Buffer[] => keys.blindForms(identifierDomain(subject.scheme), subject.code);

const shown = (keys: Keys, row: Consent): Consent => ({ ...row, evidence: keys.open(row.evidence, CONSENT_CONTEXT) });

/** Effective from the next statement on. The subject need not be known to the hub yet. */
export async function giveConsent(sql: Sql, keys: Keys, by: Giver, subject: OwnSubject, consent: NewConsent): Promise<Consent> {
  const { department, person, purposes, categories, validFrom, validUntil, channel, evidence } = consent;
  const { rows } = await sql.query<Consent>(
    `insert into consent (token, department, person, purposes, categories, valid_from, valid_until, channel, sealed, given_by, given_name)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning ${COLUMNS}`,
    [
      keys.blindToken(identifierDomain(subject.scheme), subject.code),
      department,
      person,
      purposes,
      categories,
      validFrom,
      validUntil,
      channel,
      keys.seal(evidence, CONSENT_CONTEXT),
      by.id,
      by.name,
    ],
  );
  return shown(keys, rows[0] as Consent);
}

/**
 * At once: the very next query under it sees nothing. Revoking again changes nothing. Throws `Refused` CONSENT_NOT_FOUND for one that does not exist
 * or is another subject's: the two look the same.
 */
export async function revokeConsent(sql: Sql, keys: Keys, by: Giver, subject: OwnSubject, id: number): Promise<Consent> {
  const own = [id, formsOf(keys, subject)];
  await sql.query(
    `update consent set revoked_at = clock_timestamp(), revoked_by = $3, revoked_name = $4
     where id = $1 and token = any($2) and revoked_at is null`,
    [...own, by.id, by.name],
  );
  const { rows } = await sql.query<Consent>(`select ${COLUMNS} from consent where id = $1 and token = any($2)`, own);
  const [found] = rows;
  if (found === undefined) throw new Refused('CONSENT_NOT_FOUND', '未找到该授权', { details: { article: 'HN-23.1' } });
  return shown(keys, found);
}

/** The consents of one subject, newest first, the revoked ones too. */
export async function listConsents(sql: Sql, keys: Keys, subject: OwnSubject, limit: number): Promise<Consent[]> {
  const { rows } = await sql.query<Consent>(`select ${COLUMNS} from consent where token = any($1) order by id desc limit $2`, [
    formsOf(keys, subject),
    limit,
  ]);
  return rows.map((row) => shown(keys, row));
}

/** Row ids of the subject that a code belongs to: what its entries in the query log are found by. */
export async function rowsOfSubject(sql: Sql, keys: Keys, subject: OwnSubject): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>('select distinct subject_id as id from subject_identifier where token = any($1)', [
    formsOf(keys, subject),
  ]);
  return rows.map((row) => row.id);
}
