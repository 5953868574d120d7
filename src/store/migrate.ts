import { openOrm } from './orm.ts';
import { ensureRoles } from './roles.ts';
import { openPool } from './sql.ts';

/** Arbitrary number of the advisory lock that keeps two processes from migrating at once. */
const MIGRATION_LOCK = 7_301_001;

/** Brings the database at `url` to this version's schema; returns the names of the migrations that were run. Safe to call from several processes. Throws where roles are missing that its user may not make. */
export async function migrate(url: string): Promise<string[]> {
  const pool = openPool(url, { max: 1, applicationName: 'hub migrate' });
  try {
    const session = await pool.dedicated();
    try {
      await session.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
      await ensureRoles(session);
      const orm = await openOrm(url);
      try {
        const done = await orm.migrator.up();
        return done.map((m) => m.name);
      } finally {
        await orm.close(true);
      }
    } finally {
      session.release();
    }
  } finally {
    await pool.close();
  }
}
