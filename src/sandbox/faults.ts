import type { SandboxData } from './generate.ts';
import type { Row } from './population.ts';
import { type Random, randomOf } from './random.ts';

/**
 * How platforms fail, as a closed list. Over HTTP: an answer is replaced, a page is not the one that was asked for, or the holdings move while
 * they are read. In tables: what the platform does to its rows between two statements of the hub. In files: how they are cut and written.
 */
export const FAULT_KINDS = [
  'http-500',
  'hang',
  'reset',
  /** The full Content-Length and half the bytes. */
  'cut-body',
  /** 200, and the platform's own status says that it is busy. */
  'error-in-200',
  'html-login',
  /** The gateway of the national platform refuses the signature. */
  'wrong-signature',
  'expired-token',
  /** The bytes are GB18030 though the label says UTF-8. */
  'mislabelled-gb18030',
  /** The page before once more, in place of the one asked for. */
  'repeated-page',
  'reversed-page',
  /** The last rows of the page before, and then the whole page asked for. */
  'overlapping-page',
  /** Rows on pages already read leave the window for one answer: a smaller total, and all rows moved up. */
  'moved-cursor',
  /** A row gets a new version, and so another place, while pages are read. */
  'changed-while-paging',
  /** A row of the holdings that no delivery has from now on. */
  'silent-drop',
  'new-key',
  'renamed-key',
  /** Many rows share one time, over the ends of pages. */
  'equal-times',
  'clock-skew',
  'connection-killed',
  /** A row is written again after it was read and before it was acknowledged. */
  'changed-before-ack',
  /** A row appears behind the watermark. */
  'late-row',
  'delete-by-flag',
  'half-file',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultPlan {
  seed: number;
  /** Chance of a kind at each occasion, 0 to 1. A kind that is not named never happens. */
  odds: Partial<Record<FaultKind, number>>;
  /** After so many of a kind there are no more of it; left out: no end. */
  most?: number;
  /** Minutes that the platform's clock is ahead of the real one; negative: behind. */
  clockSkewMinutes?: number;
}

/** The faults of one sandbox, the same for the same plan and the same calls. */
export interface Faults {
  /** How many of each kind really happened. */
  readonly injected: Readonly<Record<FaultKind, number>>;
  /** Asked at each occasion; true: the caller MUST make the fault, which is counted. */
  roll(kind: FaultKind): boolean;
  random(kind: FaultKind): Random;
  /** The platform's clock. */
  clock(now: Date): Date;
  /** From now on all is well, but for what was done to the holdings. */
  stop(): void;
}

export function openFaults(plan: FaultPlan): Faults {
  const injected = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  const chances = new Map(FAULT_KINDS.map((kind) => [kind, randomOf(plan.seed, `chance of ${kind}`)]));
  const details = new Map(FAULT_KINDS.map((kind) => [kind, randomOf(plan.seed, `detail of ${kind}`)]));
  let stopped = false;
  const skew = (plan.clockSkewMinutes ?? 0) * 60_000;
  return {
    injected,
    roll(kind) {
      const odds = plan.odds[kind] ?? 0;
      if (stopped || odds === 0 || injected[kind] >= (plan.most ?? Number.POSITIVE_INFINITY)) return false;
      if (!chances.get(kind)?.chance(odds)) return false;
      injected[kind] += 1;
      return true;
    },
    random: (kind) => details.get(kind) ?? randomOf(plan.seed, kind),
    clock(now) {
      if (skew === 0 || stopped) return now;
      injected['clock-skew'] += 1;
      return new Date(now.getTime() + skew);
    },
    stop: () => void (stopped = true),
  };
}

/** A plan from JSON text. Throws Error that names what is wrong: an unknown kind, odds that are no chance. */
export function readFaultPlan(text: string, seed: number): FaultPlan {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error('the fault plan is not JSON');
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Error('the fault plan must be an object');
  const { odds = {}, most, clockSkewMinutes, ...rest } = given as Record<string, unknown>;
  const unknown = Object.keys(rest).filter((key) => key !== 'seed');
  if (unknown.length > 0) throw new Error(`the fault plan has unknown keys: ${unknown.join(', ')}`);
  if (typeof odds !== 'object' || odds === null || Array.isArray(odds)) throw new Error('odds must be an object');
  for (const [kind, chance] of Object.entries(odds)) {
    if (!FAULT_KINDS.some((known) => known === kind)) throw new Error(`unknown fault ${kind}; the kinds are: ${FAULT_KINDS.join(', ')}`);
    if (typeof chance !== 'number' || !(chance >= 0 && chance <= 1)) throw new Error(`odds of ${kind} must be from 0 to 1`);
  }
  for (const [name, value] of Object.entries({ most, clockSkewMinutes, seed: rest['seed'] })) {
    if (value !== undefined && !Number.isSafeInteger(value)) throw new Error(`${name} must be a whole number`);
  }
  return {
    seed: (rest['seed'] as number | undefined) ?? seed,
    odds: odds as FaultPlan['odds'],
    ...(most === undefined ? {} : { most: most as number }),
    ...(clockSkewMinutes === undefined ? {} : { clockSkewMinutes: clockSkewMinutes as number }),
  };
}

/** What the platforms hold, as lists of its own that faults may write in while the servers read them. */
export interface Holdings extends SandboxData {
  streams: ReadonlyMap<string, Row[]>;
}

const TIMES = ['SJC', 'UPDT_TIME'];

/** Copies the data for a sandbox with faults. With `equal-times` each row may get the time of the row before it. */
export function holdingsOf(data: SandboxData, faults: Faults): Holdings {
  const streams = new Map([...data.streams].map(([stream, rows]) => [stream, rows.map((row) => ({ ...row }))]));
  for (const rows of streams.values()) {
    const column = TIMES.find((name) => rows[0]?.[name] !== undefined);
    if (column === undefined) continue;
    for (const [i, row] of rows.entries()) {
      const before = rows[i - 1]?.[column];
      if (before !== undefined && before !== row[column] && faults.roll('equal-times')) row[column] = before;
    }
  }
  return { ...data, streams };
}
