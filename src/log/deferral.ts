import { Refused } from '../errors.ts';
import type { Sql } from '../store/sql.ts';
import { DECIDED_COLUMNS, type Decided, mayDecide, type Person } from './four-eyes.ts';

/** A deferral of notice: while a case of a department is under inquiry, its subjects are not yet told of the looks that belong to it (U6). */
export interface Deferral extends Decided {
  department: string;
  caseNumber: string;
  basis: string;
  /** From this day on, in Asia/Shanghai, everything is told. */
  releaseOn: string;
}

const COLUMNS = `${DECIDED_COLUMNS}, department, case_number as "caseNumber", basis, release_on as "releaseOn"`;
const ARTICLE = 'WG-10';
/** The longest time that notice may be put off by one act. */
export const LONGEST_DEFERRAL_DAYS = 90;

/** Asks for a deferral; no effect before another person of the department approves it. Throws `Refused` BASIS_REQUIRED, CASE_REQUIRED or BAD_RELEASE_DAY. */
export async function requestDeferral(
  sql: Sql,
  person: Person,
  wish: { department: string; caseNumber: string; basis: string; releaseOn: string },
  today: string,
): Promise<Deferral> {
  if (wish.basis.trim() === '') throw new Refused('BASIS_REQUIRED', '须填写延期告知的依据', { details: { article: ARTICLE } });
  if (wish.caseNumber.trim() === '') throw new Refused('CASE_REQUIRED', '须填写案件编号', { details: { article: ARTICLE } });
  const days = (Date.parse(wish.releaseOn) - Date.parse(today)) / 86_400_000;
  if (!(days >= 1 && days <= LONGEST_DEFERRAL_DAYS))
    throw new Refused('BAD_RELEASE_DAY', `告知日期须在明日至 ${LONGEST_DEFERRAL_DAYS} 日内`, { details: { article: ARTICLE } });
  const { rows } = await sql.query<Deferral>(
    `insert into notice_deferral (department, case_number, basis, release_on, requested_by, requested_name, requested_on)
     values ($1, $2, $3, $4, $5, $6, $7) returning ${COLUMNS}`,
    [wish.department, wish.caseNumber, wish.basis, wish.releaseOn, person.id, person.name, today],
  );
  return rows[0] as Deferral;
}

/** Approves or rejects; a person of the same department, never the one who asked. Throws as {@link mayDecide}. */
export async function decideDeferral(
  sql: Sql,
  person: Person & { department: string },
  decision: { id: number; approve: boolean; reason: string },
): Promise<Deferral> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<Deferral>(`select ${COLUMNS} from notice_deferral where id = $1 and department = $2 for update`, [
      decision.id,
      person.department,
    ]);
    mayDecide(rows[0], person, decision, ARTICLE);
    const updated = await tx.query<Deferral>(
      `update notice_deferral set state = $2, decided_by = $3, decided_name = $4, decided_at = clock_timestamp(), decision_reason = $5
       where id = $1 returning ${COLUMNS}`,
      [decision.id, decision.approve ? 'approved' : 'rejected', person.id, person.name, decision.reason],
    );
    return updated.rows[0] as Deferral;
  });
}

export async function listDeferrals(sql: Sql, department: string, limit: number): Promise<Deferral[]> {
  const { rows } = await sql.query<Deferral>(`select ${COLUMNS} from notice_deferral where department = $1 order by id desc limit $2`, [
    department,
    limit,
  ]);
  return rows;
}

/** Of cases, given as department and number: those whose looks are not told on this day. */
export async function deferredCases(
  sql: Sql,
  cases: readonly { department: string; caseNumber: string }[],
  today: string,
): Promise<(department: string | null, caseNumber: string | null) => boolean> {
  const { rows } = await sql.query<{ department: string; caseNumber: string }>(
    `select distinct d.department, d.case_number as "caseNumber"
     from notice_deferral d join unnest($1::text[], $2::text[]) as c (department, number) on c.department = d.department and c.number = d.case_number
     where d.state = 'approved' and d.release_on > $3::date`,
    [cases.map((one) => one.department), cases.map((one) => one.caseNumber), today],
  );
  const deferred = new Set(rows.map((row) => JSON.stringify([row.department, row.caseNumber])));
  return (department, caseNumber) => deferred.has(JSON.stringify([department, caseNumber]));
}
