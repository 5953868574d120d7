/**
 * Pushes to platforms of every mode while everything goes wrong: the worker is killed again and again, the platforms take what they are sent and lose
 * their answers. In the end an oracle reads the platforms' own books, which know nothing of the hub's keys but what arrived.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runPull } from '../../src/jobs/pull.ts';
import { openBackend } from '../../src/jobs/queues.ts';
import { loadModel } from '../../src/model/load.ts';
import { findStream } from '../../src/model/streams.ts';
import type { PullStream } from '../../src/model/types.ts';
import { FAULT_KINDS, type FaultPlan, openFaults } from '../../src/sandbox/faults.ts';
import { holdingsOf } from '../../src/sandbox/faults.ts';
import { generate } from '../../src/sandbox/generate.ts';
import { faultyAnswers } from '../../src/sandbox/http-faults.ts';
import { randomOf } from '../../src/sandbox/random.ts';
import { type Effect, type Receiver, type ReceiverMode, startReceiver } from '../../src/sandbox/receiver.ts';
import { newKeyRing } from '../../src/store/keys.ts';
import { recall } from '../../src/store/outbox.ts';
import { settleUnknown } from '../../src/store/sending.ts';
import type { Pool } from '../../src/store/sql.ts';
import { openHub, type TestHub } from './platforms.ts';
import { startVictim } from './worker-child.ts';

export const MODES: readonly ReceiverMode[] = ['keys', 'asks', 'drafts', 'none'];
/** The platform has done what it was asked, and the answer is spoilt on its way. */
const ODDS: FaultPlan['odds'] = { 'http-500': 0.1, reset: 0.12, 'cut-body': 0.12, 'error-in-200': 0.05, 'html-login': 0.01 };
const PULLS = ['national-insurance/medical-institutions', 'national-insurance/pharmacies', 'national-insurance/credit-grades'];

export interface ModeResult {
  rows: Record<string, number>;
  /** What happened at the platform more than once. */
  doubled: string[];
  /** Done for the hub, and not in the platform's book, or under another number. */
  lost: string[];
  /** Done without a receipt. */
  unproven: number;
  effects: number;
  recalls: number;
}

export interface PushKillResult {
  hub: TestHub;
  kills: number;
  faults: number;
  injected: Record<string, number>;
  decided: number;
  modes: Record<ReceiverMode, ModeResult>;
  bugs: string[];
  close(): Promise<void>;
}

export async function pushUnderKills(options: {
  seed: number;
  kills: number;
  faults: number;
  organisations: number;
  broken?: string;
}): Promise<PushKillResult> {
  const steps: (() => unknown)[] = [];
  const close = async () => {
    for (const step of steps.splice(0).toReversed()) await step();
  };
  try {
    const schema = schemaOf();
    steps.push(() => rmSync(schema, { recursive: true }));
    const model = loadModel(schema);
    const data = generate({ seed: 11, organisations: options.organisations, persons: 120 });
    const faults = openFaults({ seed: options.seed, odds: ODDS });
    const answer = faultyAnswers(faults, holdingsOf(data, faults), () => new Date());
    const ring = newKeyRing();
    const hub = await openHub({ data, ring });
    steps.push(() => hub.close());
    const receivers = {} as Record<ReceiverMode, Receiver>;
    for (const mode of MODES) {
      receivers[mode] = await startReceiver(`RECEIVER_${mode.toUpperCase()}`, mode, { answer, slowMs: 4 });
      steps.push(() => receivers[mode].stop());
      Object.assign(hub.sandboxes.env, receivers[mode].env);
    }
    const jobs = { ...hub.jobs, model };
    for (const name of PULLS) await runPull(jobs, findStream(model, name) as PullStream, { trigger: 'manual' });

    const backend = openBackend({ databaseUrl: hub.databaseUrl });
    steps.push(() => backend.close());
    const queue = backend.queue(() => undefined);
    await queue.waitUntilReady();
    steps.push(() => queue.close());
    const build = options.broken === undefined ? [] : [options.broken];
    const victim = startVictim(hub, { ring, build, env: { HUB_SCHEMA: schema } });
    steps.push(() => victim.end());

    const count = () => FAULT_KINDS.reduce((sum, kind) => sum + faults.injected[kind], 0);
    let over = false;
    let decided = 0;
    let recalled = false;
    const disturbing = victim.killAgain(options.kills, { random: randomOf(options.seed, 'kills'), afterMs: [50, 700] }).finally(() => {
      over = true;
    });
    disturbing.catch(() => undefined);
    for (;;) {
      victim.check();
      decided += await decide(hub.pool, receivers.none.book);
      const arrived = await hub.pool.query<{ id: number; everywhere: boolean }>(
        `select record_id as id, count(*) = ${MODES.length} as everywhere from outbox where connector = 'receivers' and state = 'done' group by 1 limit 100`,
      );
      if (!recalled && arrived.rows.filter((row) => row.everywhere).length >= 10) {
        // Facts are repaired: some have arrived everywhere, some are on their way to one platform or another.
        const some = arrived.rows.map((row) => row.id);
        await hub.pool.transaction((sql) => recall(sql, some, 'repair'));
        recalled = true;
      }
      const open = await hub.pool.query<{ n: number }>(
        `select count(*)::int as n from outbox where connector = 'receivers' and state in ('waiting', 'sent', 'unknown')`,
      );
      if (over && count() >= options.faults) faults.stop();
      if (over && recalled && open.rows[0]?.n === 0) break;
      // Where all is done before the disturbance is over, the next facts are repaired.
      if (open.rows[0]?.n === 0) {
        const next = await hub.pool.query<{ id: number }>(
          `select distinct record_id as id from outbox p where connector = 'receivers' and act = 'publish' and state = 'done' and not exists (
             select from outbox r where r.record_id = p.record_id and r.act = 'recall') limit 40`,
        );
        await hub.pool.transaction((sql) =>
          recall(
            sql,
            next.rows.map((row) => row.id),
            'expiry',
          ),
        );
        if (next.rows.length === 0) faults.stop();
        recalled = true;
      }
      for (const mode of MODES)
        if ((await queue.getWaitingCount()) < 8) await queue.add('run', { connector: 'receivers', stream: mode, trigger: 'manual' });
      await sleep(100);
    }
    await disturbing;
    await victim.end();
    const modes = {} as Record<ReceiverMode, ModeResult>;
    for (const mode of MODES) modes[mode] = await judge(hub.pool, mode, receivers[mode].book);
    const said = victim.said().split('\n');
    const injected = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, faults.injected[kind]] as const).filter(([, n]) => n > 0));
    return {
      hub,
      kills: victim.kills(),
      faults: count(),
      injected,
      decided,
      modes,
      bugs: said.filter((line) => line.includes('"bug"')),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The person who telephones a platform that cannot be asked: looks into its book, and says what is there. */
async function decide(pool: Pool, book: readonly Effect[]): Promise<number> {
  const { rows } = await pool.query<{ id: number; key: string }>(
    `select id, record_id || ':' || version || case act when 'recall' then ':recall' else '' end as key from outbox where stream = 'none' and state = 'unknown'`,
  );
  for (const { id, key } of rows) {
    const effect = book.find((one) => one.key === key);
    const by = '核实人员';
    await settleUnknown(
      pool,
      id,
      effect ? { arrived: true, receipt: { number: effect.receipt, at: new Date().toISOString() }, by } : { arrived: false, by },
    );
  }
  return rows.length;
}

/** What the platform's own book and the hub's outbox say of each other. */
export async function judge(pool: Pool, mode: ReceiverMode, book: readonly Effect[]): Promise<ModeResult> {
  // By what it is about, not by its key: a hub that makes keys anew cannot hide behind them.
  const about = ({ recall: taken, body }: Effect) =>
    taken ? `recall ${String(body['YXXBH'])}` : `${String(body['TYSHXYDM'])} ${String(body['PJND'])}`;
  const seen = new Map<string, number>();
  for (const effect of book) seen.set(about(effect), (seen.get(about(effect)) ?? 0) + 1);
  const { rows } = await pool.query<{ key: string; act: string; state: string; number: string | null }>(
    `select record_id || ':' || version || case act when 'recall' then ':recall' else '' end as key, act, state, r.number
     from outbox o left join receipt r on r.outbox_id = o.id where connector = 'receivers' and stream = $1`,
    [mode],
  );
  const done = rows.filter((row) => row.state === 'done');
  const numbers = new Map(book.map((effect) => [effect.receipt, effect.key]));
  const states: Record<string, number> = {};
  for (const row of rows) states[`${row.act} ${row.state}`] = (states[`${row.act} ${row.state}`] ?? 0) + 1;
  return {
    rows: states,
    doubled: [...seen].filter(([, n]) => n > 1).map(([one]) => one),
    lost: done.filter((row) => numbers.get(row.number ?? '') !== row.key).map((row) => row.key),
    unproven: done.filter((row) => row.number === null).length,
    effects: book.length,
    recalls: done.filter((row) => row.act === 'recall').length,
  };
}

/** The model, with one connector more: the same grades to a platform of each mode, and to nobody else. */
export function schemaOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hub-receivers-'));
  cpSync(fileURLToPath(new URL('../../schema', import.meta.url)), folder, { recursive: true });
  const connectors = join(folder, 'connectors');
  for (const name of readdirSync(connectors)) {
    const path = join(connectors, name);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('kinds: [medical-insurance-evaluation]', 'kinds: [not-evaluated]'));
  }
  const settings = MODES.map(
    (mode) =>
      `  ${mode}Url: { env: RECEIVER_${mode.toUpperCase()}_URL }\n  ${mode}Secret: { env: RECEIVER_${mode.toUpperCase()}_SECRET, secret: true }`,
  );
  const acknowledges = {
    keys: 'keys',
    asks: `{ asks: { path: /query, body: { XXBH: '{key}' }, absent: { at: data.ZT, equals: '0' }, afterSeconds: 1 } }`,
    drafts: `{ drafts: { number: data.ZCBH, path: /confirm, body: { ZCBH: '{draft}' } } }`,
    none: 'none',
  };
  const streams = MODES.map(
    (mode) => `  ${mode}:
    zh: 等级推送
    en: Grades
    article: HN-28
    push:
      via: http
      base: '{${mode}Url}'
      path: /results
      headers: { X-App-Secret: '{${mode}Secret}' }
${mode === 'keys' ? '      keyHeader: Idempotency-Key\n' : ''}      ok: { at: status, equals: '1' }
      error: message
      receipt: data.HZBH
      receivedAt: data.JSSJ
    publish:
      category: 6
      kinds: [medical-insurance-evaluation]
      receiver: credit-platform
      purpose: statutory-push
      body: { XXBH: record.key, ZTMC: subject.name, TYSHXYDM: subject.creditCode, PJND: year, PJDJ: grade, YYBZ: record.disputed }
      recall: { path: /recall, body: { XXBH: key, YXXBH: published, YHZBH: receipt, CXYY: cause } }
      acknowledges: ${acknowledges[mode]}`,
  );
  writeFileSync(
    join(connectors, 'receivers.yml'),
    `connector: receivers
zh: 接收平台
en: Receivers
department: credit-platform
article: HN-28
route: shared-platform
officer: { id: T-1, name: 试验员 }
breaker: { failures: 1000, within: 1, open: 1 }
settings:
${settings.join('\n')}
streams:
${streams.join('\n')}
`,
  );
  return folder;
}
