import { Migration } from '@mikro-orm/migrations';
import { CONSENT_DDL } from './consent-ddl.ts';
import { CORE_DDL } from './core-ddl.ts';
import { DICTIONARY_DDL } from './dictionary-ddl.ts';
import { FEED_DDL } from './feed-ddl.ts';
import { FEEDBACK_DDL } from './feedback-ddl.ts';
import { DOCUMENT_DDL } from './document-ddl.ts';
import { ERASURE_DDL } from './erasure-ddl.ts';
import { LOG_DDL } from './log-ddl.ts';
import { LOG_WORK_DDL } from './log-work-ddl.ts';
import { MODEL_DDL } from './model-ddl.ts';
import { RECALL_DDL } from './recall-ddl.ts';
import { OBJECTION_DDL } from './objection-ddl.ts';
import { PLATFORM_DDL } from './platform-ddl.ts';
import { RECONCILE_DDL } from './reconcile-ddl.ts';
import { SEAL_DDL } from './seal-ddl.ts';
import { SESSION_DDL } from './session-ddl.ts';
import { STATISTICS_DDL } from './statistics-ddl.ts';
import { WEBHOOK_DDL } from './webhook-ddl.ts';
import { wallDdl } from './wall-ddl.ts';

/** In the order in which they are made; each file says what it is for. */
const PARTS: readonly (readonly string[])[] = [
  CORE_DDL,
  FEEDBACK_DDL,
  ERASURE_DDL,
  DICTIONARY_DDL,
  LOG_DDL,
  SEAL_DDL,
  LOG_WORK_DDL,
  // Others stand on those above, not on one another.
  MODEL_DDL,
  CONSENT_DDL,
  SESSION_DDL,
  STATISTICS_DDL,
  DOCUMENT_DDL,
  PLATFORM_DDL,
  FEED_DDL,
  RECALL_DDL,
  OBJECTION_DDL,
  RECONCILE_DDL,
  WEBHOOK_DDL,
];

/** The first schema: subjects, records and their versions, the sync's ledger, the query log, and what people do beside reading; then who may do what with it. */
export class First extends Migration {
  override up(): void {
    const ddl = PARTS.flat();
    for (const statement of [...ddl, ...wallDdl(ddl)]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('the first schema is not taken back: it would delete the query log');
  }
}
