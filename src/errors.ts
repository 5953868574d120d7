/**
 * The five errors of the hub (design §5). The class says what happens next, so no caller has to inspect a status or a message.
 * Messages for officers are Chinese (`message`), the code is English and stable.
 */

/** One fault of `schema/`: where it is and why it is one. */
export interface ModelFault {
  file: string;
  /** JSON pointer inside the file; empty for the whole file. */
  path: string;
  reason: string;
}

/** `schema/` contradicts itself: the process does not start. Lists every fault at once. */
export class BadModel extends Error {
  readonly faults: readonly ModelFault[];
  constructor(faults: readonly ModelFault[]) {
    super(
      `schema/ has ${faults.length} fault(s):\n${faults.map((f) => `  ${f.file}${f.path ? `#${f.path}` : ''}: ${f.reason}`).join('\n')}`,
    );
    this.name = 'BadModel';
    this.faults = faults;
  }
}

/** The other side did not answer properly now but may later: BullMQ retries with backoff, the cursor stays. */
export class RetryLater extends Error {
  /** Wait at least this long, when the other side said so (Retry-After). */
  readonly afterMs: number | undefined;
  constructor(message: string, options?: { cause?: unknown; afterMs?: number }) {
    super(message, { cause: options?.cause });
    this.name = 'RetryLater';
    this.afterMs = options?.afterMs;
  }
}

/** Why a run was put off: outside its hours, over the platform's budget, the platform is down, a person paused it, or enough other runs are under way. */
export type Delay = 'window' | 'budget' | 'breaker' | 'paused' | 'busy';

/** Nothing went wrong and nothing was sent: the run is put off until `until`, with its cursor, and spends no attempt. Undefined: until a person says so. */
export class Deferred extends RetryLater {
  readonly why: Delay;
  readonly until: Date | undefined;
  constructor(why: Delay, until: Date | undefined) {
    super(`deferred-${why}: ${DELAYED[why]}${until === undefined ? '' : `，${until.toISOString()} 继续`}`);
    this.name = 'Deferred';
    this.why = why;
    this.until = until;
  }
}

const DELAYED: Readonly<Record<Delay, string>> = {
  window: '不在约定的使用时段内',
  budget: '已达平台调用上限',
  breaker: '平台暂不可用，已暂停调用',
  paused: '已由运行维护人员暂停',
  busy: '该平台同时进行的任务已达上限',
};

/** One raw record cannot be taken: an issue is stored and the page goes on. */
export class RejectRecord extends Error {
  /** The rule that refused it, e.g. `required`, `unknown-code`, `bad-date`. */
  readonly rule: string;
  /** The source key (column) at fault; empty for the record as a whole. */
  readonly where: string;
  constructor(rule: string, where: string, message: string) {
    super(message);
    this.name = 'RejectRecord';
    this.rule = rule;
    this.where = where;
  }
}

/** The stream stops and an operator is told; other streams go on. Never retried by itself. */
export class StopStream extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StopStream';
  }
}

/** A caller asked for what may not be given, or asked wrongly: a GraphQL error, logged like any query. */
export class Refused extends Error {
  /** Stable English code, e.g. `PURPOSE_REQUIRED`. */
  readonly code: string;
  /** HTTP status for refusals that concern the whole request. */
  readonly status: number;
  /** Coordinate, rule, article, what would lift it: never data. */
  readonly details: Readonly<Record<string, unknown>>;
  constructor(code: string, message: string, options?: { status?: number; details?: Record<string, unknown> }) {
    super(message);
    this.name = 'Refused';
    this.code = code;
    this.status = options?.status ?? 200;
    this.details = options?.details ?? {};
  }
}
