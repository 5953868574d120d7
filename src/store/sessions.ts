import type { Pool, Sql } from './sql.ts';

/** A token, or all tokens of a person, that are taken back. Exactly one of `tokenId` and `person` is set. */
export interface Revocation {
  id: number;
  tokenId: string | null;
  person: string | null;
  /** Tokens of the person issued after this are taken again. ISO 8601. */
  issuedBefore: string;
  reason: string;
  revokedBy: string;
  revokedAt: string;
}

const COLUMNS = `id, token_id as "tokenId", person, issued_before as "issuedBefore", reason, revoked_by as "revokedBy", revoked_at as "revokedAt"`;

/** Takes back a token or all tokens a person has; in force in every process within seconds. */
export async function revoke(
  sql: Sql,
  what: { tokenId: string } | { person: string },
  by: { id: string; name: string },
  reason: string,
): Promise<Revocation> {
  const { rows } = await sql.query<Revocation>(
    `insert into revocation (token_id, person, reason, revoked_by, revoked_name) values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
    ['tokenId' in what ? what.tokenId : null, 'person' in what ? what.person : null, reason, by.id, by.name],
  );
  return rows[0] as Revocation;
}

/** Revocations beyond an id, oldest first. */
export async function revocationsAfter(sql: Sql, id: number): Promise<Revocation[]> {
  const { rows } = await sql.query<Revocation>(`select ${COLUMNS} from revocation where id > $1 order by id`, [id]);
  return rows;
}

export async function listRevocations(sql: Sql, limit: number): Promise<Revocation[]> {
  const { rows } = await sql.query<Revocation>(`select ${COLUMNS} from revocation order by id desc limit $1`, [limit]);
  return rows;
}

/** What a process knows of revoked tokens. */
export interface Revoked {
  /** Whether a token is taken back. Rejects when what is known is older than it may be and cannot be renewed. */
  has(token: { id: string | undefined; person: string; issuedAt: number | undefined }): Promise<boolean>;
  close(): void;
}

/** How often the table is asked, and how old an answer may be before a request waits for a new one. */
const EVERY_MS = 1000;
const OLDEST_MS = 4000;

/**
 * Follows the revocations, so that a request asks memory and not the database. Ids are given before they are seen by others: each look goes back over
 * the last hundred, so that one that commits late is not passed by. Where the table cannot be read for longer than {@link OLDEST_MS} a request asks itself.
 */
export async function followRevocations(pool: Pool): Promise<Revoked> {
  const tokens = new Set<string>();
  const persons = new Map<string, number>();
  let last = 0;
  let at = 0;
  const renew = async (): Promise<void> => {
    const asked = performance.now();
    for (const { id, tokenId, person, issuedBefore } of await revocationsAfter(pool, Math.max(0, last - 100))) {
      last = Math.max(last, id);
      if (tokenId !== null) tokens.add(tokenId);
      if (person !== null) persons.set(person, Math.max(persons.get(person) ?? 0, Date.parse(issuedBefore)));
    }
    at = asked;
  };
  await renew();
  const timer = setInterval(() => void renew().catch(() => undefined), EVERY_MS);
  timer.unref();
  return {
    async has({ id, person, issuedAt }) {
      if (performance.now() - at > OLDEST_MS) await renew();
      if (id !== undefined && tokens.has(id)) return true;
      const before = persons.get(person);
      // A token that does not say when it was issued may be as old as any.
      return before !== undefined && (issuedAt === undefined || issuedAt * 1000 <= before);
    },
    close: () => clearInterval(timer),
  };
}
