import type { Sql } from './sql.ts';

/**
 * The roles of PostgreSQL that the second wall stands on. None of them can log in; they belong to the whole server and hold nothing by themselves,
 * so several hubs on one server share them. What each may do is written in migrations/wall-ddl.ts.
 */
export const OWNER = 'hub_owner';
/** Owns the views that readers read, and is held by row security itself. */
export const VIEWER = 'hub_view';
/** Everything but reading credit information for a grant, and the query log. */
export const WRITER = 'hub_writer';
/** Appends to the query log. */
export const LOG_WRITER = 'hub_log_writer';
/** Held by the users that `serve` and `work` log in as: may become a writer or a reader, and inherits nothing. */
export const APP = 'hub_app';

/** Columns of values that a reader may have beside `open`. */
export const CLASSES = ['internal', 'commercial', 'personal', 'sealed', 'masks'] as const;
export type ClassColumn = (typeof CLASSES)[number];

/** The reader that has `open` and exactly these columns: `hub_read_oip`. */
export function readerRole(classes: Iterable<'open' | ClassColumn>): string {
  const held = new Set<string>(classes);
  return `hub_read_o${CLASSES.map((c) => (held.has(c) ? c[0] : '')).join('')}`;
}

/** Every reader with the columns that it has. */
export const READERS: ReadonlyMap<string, readonly ClassColumn[]> = new Map(
  Array.from({ length: 2 ** CLASSES.length }, (_, bits) => {
    const classes = CLASSES.filter((_class, i) => bits & (1 << i));
    return [readerRole(classes), classes];
  }),
);

const ROLES = [OWNER, VIEWER, WRITER, LOG_WRITER, APP, ...READERS.keys()];
const BECOMES = [WRITER, LOG_WRITER, ...READERS.keys()];

/**
 * Makes the roles that are missing. Several processes may do so at once, for several databases of one server. Throws an Error with the statements
 * that an administrator has to run where the user of the connection may not.
 */
export async function ensureRoles(sql: Sql): Promise<void> {
  const statements = await missing(sql);
  if (statements.length === 0) return;
  try {
    // Two processes may make the same role at the same moment: the later one waits, and finds it made.
    for (const statement of statements)
      await sql.query(`do $do$ begin ${statement}; exception when duplicate_object or unique_violation then null; end $do$`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== '42501') throw error;
    const { rows } = await sql.query<{ name: string }>('select current_user as name');
    throw new Error(
      `the database user "${rows[0]?.name}" may not make the roles of the hub; an administrator of the server has to run:\n${statements.join(';\n')};`,
      { cause: error },
    );
  }
}

async function missing(sql: Sql): Promise<string[]> {
  const { rows: there } = await sql.query<{ name: string }>('select rolname as name from pg_roles where rolname = any($1)', [ROLES]);
  const known = new Set(there.map((row) => row.name));
  const { rows: links } = await sql.query<{ name: string }>(
    `select r.rolname as name from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles a on a.oid = m.member where a.rolname = $1`,
    [APP],
  );
  const linked = new Set(links.map((row) => row.name));
  const unlinked = BECOMES.filter((role) => !linked.has(role));
  const { rows: own } = await sql.query<{ name: string; super: boolean; own: string[] }>(
    `select current_user as name, u.rolsuper as super, array(select r.rolname::text from pg_auth_members m join pg_roles r on r.oid = m.roleid where m.member = u.oid) as own
     from pg_roles u where u.rolname = current_user`,
  );
  const [user] = own;
  const unheld = user?.super ? [] : [OWNER, VIEWER, APP].filter((role) => !user?.own.includes(role));
  return [
    ...ROLES.filter((role) => !known.has(role)).map((role) => `create role ${role} nologin noinherit`),
    ...(unlinked.length > 0 ? [`grant ${unlinked.join(', ')} to ${APP}`] : []),
    ...(unheld.length > 0 ? [`grant ${unheld.join(', ')} to "${user?.name.replaceAll('"', '""')}"`] : []),
  ];
}
