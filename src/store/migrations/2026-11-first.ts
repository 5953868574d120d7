import { Migration } from '@mikro-orm/migrations';
import { CORE_DDL } from './core-ddl.ts';
import { DICTIONARY_DDL } from './dictionary-ddl.ts';
import { LOG_DDL } from './log-ddl.ts';
import { SEAL_DDL } from './seal-ddl.ts';

/** The first schema: subjects, records and their versions, the sync's ledger, issues, outbox and receipts, code tables, the query log and its checkpoints. */
export class First extends Migration {
  override up(): void {
    for (const statement of [...CORE_DDL, ...DICTIONARY_DDL, ...LOG_DDL, ...SEAL_DDL]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('the first schema is not taken back: it would delete the query log');
  }
}
