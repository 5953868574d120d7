import type { OwnSubject } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';
import type { Actor } from './submissions.ts';
import { identifierDomain } from './subjects.ts';

/** A case, application or task of a department with the subjects it concerns (ZM-3.2.3: only what the duty needs). */
export interface NewCase {
  number: string;
  /** Legal basis or document it rests on. */
  basis: string;
  region: string;
  /** Who is responsible for it. */
  officer: { id: string; name: string };
  subjects: readonly OwnSubject[];
}

export interface RegisteredCase {
  number: string;
  region: string;
  basis: string;
  officerName: string;
  /** How many subjects it has; which ones is for those who handle it to know. */
  subjects: number;
  registeredName: string;
  registeredAt: string;
  /** From this day on it opens nothing. */
  closedOn: string | null;
}

const SELECT = `select k.number, k.region, k.basis, k.officer_name as "officerName", k.registered_name as "registeredName", k.registered_at as "registeredAt",
  k.closed_on as "closedOn", (select count(*)::int from case_subject x where x.case_id = k.id) as subjects from registered_case k`;

/** Registers a case of the actor's department. Throws `Refused` CASE_EXISTS where the department has that number already. */
export async function registerCase(sql: Sql, keys: Keys, actor: Actor, one: NewCase): Promise<RegisteredCase> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: number }>(
      `insert into registered_case (number, department, region, officer, officer_name, basis, registered_by, registered_name)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (department, number) do nothing returning id`,
      [one.number, actor.department, one.region, one.officer.id, one.officer.name, one.basis, actor.id, actor.name],
    );
    const [made] = rows;
    if (made === undefined) throw new Refused('CASE_EXISTS', '本部门已登记该编号的案件', { details: { article: 'ZM-3.2.3' } });
    const tokens = one.subjects.map(({ scheme, code }) => keys.blindToken(identifierDomain(scheme), code));
    await tx.query('insert into case_subject (case_id, token) select $1, t from unnest($2::bytea[]) t on conflict do nothing', [
      made.id,
      tokens,
    ]);
    return only(await tx.query<RegisteredCase>(`${SELECT} where k.id = $1`, [made.id]));
  });
}

/** Closes a case of the actor's department and region: from the next statement on it opens nothing. Closing again changes nothing. Throws `Refused` CASE_NOT_FOUND. */
export async function closeCase(sql: Sql, actor: Actor, number: string, today: string): Promise<RegisteredCase> {
  const own = [number, actor.department, actor.region];
  const where = 'k.number = $1 and k.department = $2 and starts_with(k.region, $3)';
  await sql.query(`update registered_case k set closed_on = $4, closed_by = $5 where ${where} and closed_on is null`, [
    ...own,
    today,
    actor.id,
  ]);
  return only(await sql.query<RegisteredCase>(`${SELECT} where ${where}`, own));
}

/** Cases of the actor's department and region, newest first. */
export async function listCases(sql: Sql, actor: Actor, limit: number): Promise<RegisteredCase[]> {
  const { rows } = await sql.query<RegisteredCase>(
    `${SELECT} where k.department = $1 and starts_with(k.region, $2) order by k.id desc limit $3`,
    [actor.department, actor.region, limit],
  );
  return rows;
}

function only({ rows }: { rows: RegisteredCase[] }): RegisteredCase {
  const [row] = rows;
  if (row === undefined) throw new Refused('CASE_NOT_FOUND', '未找到该案件,或其不属于本部门、本辖区');
  return row;
}
