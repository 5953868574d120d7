import type { CheckpointHead } from './checkpoint.ts';
import { boundsOf } from './months.ts';
import type { PublicKey, Signer } from './signature.ts';

/** Under this purpose the record of a pruning stands in the query log. */
export const PRUNING = 'log-pruning';
/** 网络数据安全管理条例 第12条, 个人信息保护法 第56条: nothing of the log goes before three years are over. */
export const LEAST_MONTHS = 36;

/** The months of the log that are to be taken away, and what is kept of them. */
export interface PruneStatement {
  /** Dense, oldest first, `YYYY-MM` in UTC. */
  months: string[];
  archives: { month: string; rows: number; file: string; hash: string }[];
  /** The checkpoint that closed the last of them (hash in hex): from its heads on the log is verified. */
  closing: { n: number; hash: string };
}

/** An officer's word for one statement, to the letter. */
export interface Approval {
  officer: string;
  key: string;
  /** base64 */
  signature: string;
}

/** Somebody who may approve a pruning. */
export interface Officer {
  id: string;
  name: string;
  key: PublicKey;
}

export interface PruneRecord {
  /** The statement as it was approved. */
  statement: string;
  approvals: Approval[];
}

export function approve(statement: string, officer: string, signer: Signer): Approval {
  return { officer, key: signer.keyId, signature: signer.sign('approval', Buffer.from(statement)).toString('base64') };
}

/** Reads a statement; undefined for a text that is none. */
export function parseStatement(text: string): PruneStatement | undefined {
  try {
    const { months, archives, closing } = JSON.parse(text) as PruneStatement;
    const dense = months.every(
      (month, index) =>
        index === 0 ||
        month ===
          boundsOf(months[index - 1]!)
            .end.toISOString()
            .slice(0, 7),
    );
    const kept = months.length > 0 && archives.map(({ month }) => month).join() === months.join();
    return dense && kept && closing.n > 0 && typeof closing.hash === 'string' ? { months, archives, closing } : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the text of a record; undefined when it is none. */
export function parseRecord(text: string): (PruneRecord & { parsed: PruneStatement }) | undefined {
  try {
    const { statement, approvals } = JSON.parse(text) as PruneRecord;
    const parsed = parseStatement(statement);
    return parsed && Array.isArray(approvals) ? { statement, approvals, parsed } : undefined;
  } catch {
    return undefined;
  }
}

/** When the last of the months may go. */
export function dueAt({ months }: PruneStatement, keepMonths: number): Date {
  const due = boundsOf(months.at(-1)!).end;
  due.setUTCMonth(due.getUTCMonth() + Math.max(keepMonths, LEAST_MONTHS));
  return due;
}

/** The officers, each once, whose approval of this statement holds. */
export function approvedBy({ statement, approvals }: PruneRecord, officers: readonly Officer[]): Officer[] {
  return officers.filter(({ id, key }) =>
    approvals.some(
      (approval) =>
        approval.officer === id &&
        approval.key === key.keyId &&
        key.verify('approval', Buffer.from(statement), Buffer.from(approval.signature, 'base64')),
    ),
  );
}

/** Why a record does not allow what it says; empty when it does. `at` is when it was logged. */
export function recordFaults(
  record: PruneRecord & { parsed: PruneStatement },
  at: Date,
  rule: { officers: readonly Officer[]; keepMonths: number },
): string[] {
  const officers = approvedBy(record, rule.officers);
  const people = new Set(officers.map(({ id }) => id)).size;
  const keys = new Set(officers.map(({ key }) => key.keyId)).size;
  return [
    ...(Math.min(people, keys) < 2 ? ['it is not approved by two officers'] : []),
    ...(at < dueAt(record.parsed, rule.keepMonths) ? ['it came before the retention was over'] : []),
  ];
}

/** Whether a checkpoint is the one that a statement names. */
export const isClosing = ({ closing }: PruneStatement, { n, hash }: CheckpointHead): boolean =>
  n === closing.n && hash.toString('hex') === closing.hash;
