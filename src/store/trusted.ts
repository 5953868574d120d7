import type { Sql } from './sql.ts';

/** A registered document: who may ask it, for what. */
export interface TrustedDocument {
  /** SHA-256 of the text as it is, in hex. */
  hash: string;
  department: string;
  /** Empty: every role. */
  role: string;
  purpose: string;
  /** The operation of the document that is asked; empty where it has one without a name. */
  operation: string;
  text: string;
}

/** Those in force. */
export async function trustedDocuments(sql: Sql): Promise<TrustedDocument[]> {
  const { rows } = await sql.query<TrustedDocument>(
    `select hash, department, role, purpose, operation, text from trusted_document where withdrawn_at is null
      order by department, purpose, role, operation, hash`,
  );
  return rows;
}

/** Registers a document, or again one that was withdrawn. `by`: the id of the person who does it. */
export async function keepTrusted(sql: Sql, of: TrustedDocument, by: string): Promise<void> {
  await sql.query(
    `insert into trusted_document (hash, department, role, purpose, operation, text, registered_by) values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (hash, department, role, purpose) do update set operation = excluded.operation, registered_by = excluded.registered_by,
         registered_at = clock_timestamp(), withdrawn_by = null, withdrawn_at = null`,
    [of.hash, of.department, of.role, of.purpose, of.operation, of.text, by],
  );
}

/** Takes a document from a department, for every role and purpose; gives how many registrations that were. */
export async function withdrawTrusted(sql: Sql, hash: string, department: string, by: string): Promise<number> {
  const { rowCount } = await sql.query(
    `update trusted_document set withdrawn_by = $3, withdrawn_at = clock_timestamp() where hash = $1 and department = $2 and withdrawn_at is null`,
    [hash, department, by],
  );
  return rowCount;
}
