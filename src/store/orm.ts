import { Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { ENTITIES } from './entities.ts';
import { First } from './migrations/2026-11-first.ts';

/** MikroORM over the hub's database: schema, migrations and workflow entities. Close it when done. */
export function openOrm(url: string): Promise<MikroORM> {
  return MikroORM.init({
    clientUrl: url,
    entities: ENTITIES,
    extensions: [Migrator],
    forceUtcTimezone: true,
    debug: false,
    logger: (message) => process.stderr.write(`${message}\n`),
    colors: false,
    migrations: {
      tableName: 'migration',
      snapshot: false,
      transactional: true,
      allOrNothing: true,
      migrationsList: [{ name: '2026-11-first', class: First }],
    },
  });
}
