import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../config.ts';
import { runPull } from '../jobs/pull.ts';
import { syncAll } from '../jobs/sync.ts';
import { enqueueStream } from '../jobs/worker.ts';
import { openSigner } from '../log/signature.ts';
import { verifyLog } from '../log/verify.ts';
import { witnessAt } from '../log/witness-client.ts';
import { readLag } from '../log/witnessed.ts';
import { findStream } from '../model/load.ts';
import { mintToken } from '../resolvers/token.ts';
import { generate, type SandboxData } from '../sandbox/generate.ts';
import { openOutbox } from '../store/sending.ts';
import { countsSince, lastRunId } from '../store/runs.ts';
import { checkDirt } from './demo-dirt.ts';
import { DEMO_DEPARTMENTS, type DemoDepartment, demoQuery } from './demo-query.ts';
import { localKey } from './log-keys.ts';
import { openPlatforms } from './platforms.ts';
import { showProgress } from './progress.ts';
import { type Environment, jobsOf, openRuntime, type Runtime } from './runtime.ts';
import { openServer, openWorker, stopSignal } from './services.ts';
import { startWitness } from './witness.ts';

const SEED = 7;

/** All that the demo takes from the environment. What else is set there belongs to a configured system. */
const TAKEN = ['HUB_HOST', 'HUB_PORT', 'HUB_NODE', 'HUB_DATA', 'HUB_SCHEMA', 'LOG_LEVEL', 'HUB_TEST_UNSAFE'];

/**
 * `npm run demo`: everything on this machine and nothing else installed. It never touches a configured database, Redis, key ring, issuer or
 * platform. With `once` the progress goes to standard error and one JSON object to standard output.
 */
export async function demo(given: Environment, options: { once: boolean }): Promise<void> {
  const taken = Object.fromEntries(TAKEN.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]));
  const environment: Environment = { LOG_LEVEL: 'error', ...taken, ...(options.once ? { HUB_PORT: '0' } : {}) };
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  const data = generate({ seed: SEED });
  say('starting PostgreSQL and the sandboxes of three platforms …');
  const folder = readConfig(environment).data;
  const witness = startWitness(join(folder, 'witness'), openSigner(localKey(folder, 'seal')).publicKey);
  // Heard of where it is awaited; the process must not end here because of it.
  witness.catch(() => undefined);
  const runtime = await openRuntime({
    environment,
    local: true,
    witness,
    platforms: async (url, onClose) =>
      (await openPlatforms(data, url, onClose, { prefix: 'sandbox', folder: join(readConfig(environment).data, 'sandbox-packets') }))
        .sandboxes.env,
  });
  try {
    const before = await lastRunId(runtime.pool);
    const worker = await openWorker(runtime, 4);
    say('synchronising every stream …');
    await syncAll(worker, runtime.model, 'demo', showProgress(process.stderr));
    await askForPersons(runtime, data);
    await waitForReceipts(worker, runtime.pool);
    const server = await openServer(runtime);
    const streams = await countsSince(runtime.pool, before);
    const dirt = await checkDirt(runtime.pool, data);
    if (options.once) {
      const answers: Record<string, unknown> = {};
      for (const department of DEMO_DEPARTMENTS) answers[department.key] = await ask(server.url, environment, department, data);
      process.stdout.write(`${JSON.stringify({ streams, dirt, answers, log: await checkLog(runtime, (await witness).url) })}\n`);
      return;
    }
    say(summary(streams, dirt));
    await buildConsole(say);
    say(await invitation(server.url, environment, data));
    await stopSignal();
  } finally {
    await runtime.close();
    await (await witness).close();
  }
}

/** Waits until all entries are sealed and witnessed (at most ten seconds), then has the log verified against the witness. */
async function checkLog({ pool, logKeys: { trusted, witness } }: Runtime, witnessUrl: string) {
  for (let attempt = 0; attempt < 50 && ((await readLag(pool, witness?.key.keyId)).unwitnessedMs ?? 0) > 0; attempt += 1) await sleep(200);
  const { entries, sealed, verified } = await verifyLog(pool, { keys: trusted, witness: await witnessAt(witnessUrl) });
  return { entries, sealed, verified };
}

/** What an officer does with `hub sync … --keys-stdin`: the showcase's practitioner and a few others. */
async function askForPersons(runtime: Runtime, data: SandboxData): Promise<void> {
  const jobs = jobsOf(runtime, await runtime.log('demo'));
  const { practitionerIdNumber, practitionerName } = data.showcase;
  for (const [name, rows] of data.onDemand) {
    const stream = findStream(runtime.model, name);
    const others = rows.slice(0, 10).map((row) => `${row['certno']}\t${row['psn_name']}`);
    const lines = [...new Set([`${practitionerIdNumber}\t${practitionerName}`, ...others])];
    if (stream?.direction === 'pull') await runPull(jobs, stream, { trigger: 'demo', lines });
  }
}

/** Front databases answer when their worker has looked: pushes are asked about until every one has its receipt (at most half a minute). */
async function waitForReceipts(worker: Awaited<ReturnType<typeof openWorker>>, pool: Parameters<typeof openOutbox>[0]): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const open = await openOutbox(pool);
    if (open.length === 0) return;
    for (const { connector, stream } of open) await enqueueStream(worker.queue, { connector, stream, trigger: 'demo' });
    await sleep(500);
  }
}

function tokenFor(environment: Environment, department: DemoDepartment): Promise<string> {
  const { data, issuer, audience } = readConfig(environment);
  return mintToken(data, {
    ...department.officer,
    department: department.code,
    role: 'officer',
    region: '430000',
    purposes: [],
    issuer,
    audience,
    expiresIn: 8 * 3600,
  });
}

async function ask(url: string, environment: Environment, department: DemoDepartment, data: SandboxData): Promise<unknown> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Bearer ${await tokenFor(environment, department)}`,
      'x-purpose': department.purpose,
      'x-purpose-case': encodeURIComponent(department.case),
    },
    body: JSON.stringify({ query: demoQuery, operationName: 'Archive', variables: { code: data.showcase.creditCode } }),
  });
  return response.json();
}

function summary(streams: Awaited<ReturnType<typeof countsSince>>, dirt: Awaited<ReturnType<typeof checkDirt>>): string {
  const lines = streams.map((s) => {
    const counts = [s.in, s.stored, s.unchanged, s.issues, s.pushed, s.receipts].map((n) => String(n).padStart(8)).join('');
    return `  ${`${s.connector}/${s.stream}`.padEnd(48)}${counts}`;
  });
  const found = dirt.filter((d) => d.planted === d.found).length;
  const head = ['in', 'stored', 'unchgd', 'issues', 'pushed', 'receipts'].map((h) => h.padStart(8)).join('');
  return `\n  ${'stream'.padEnd(48)}${head}\n${lines.join('\n')}\n  planted dirt found exactly: ${found} of ${dirt.length} kinds\n`;
}

async function invitation(url: string, environment: Environment, data: SandboxData): Promise<string> {
  const [department] = DEMO_DEPARTMENTS;
  const query = `{\n  subject(code: "${data.showcase.creditCode}") {\n    name\n    region\n    archive {\n      no\n      zh\n      count\n    }\n  }\n}\n`;
  const oneLine = query.replaceAll(/\s+/g, ' ').trim();
  const tokens = await Promise.all(
    DEMO_DEPARTMENTS.map(async (d) => `  ${d.code} (${d.officer.name}; purpose ${d.purpose})\n    ${await tokenFor(environment, d)}`),
  );
  return [
    `API       ${url}/graphql`,
    `IDE       ${url}/ide/#purpose=${department.purpose}&query=${encodeURIComponent(query)}`,
    '',
    'Tokens of three departments (paste one into the IDE; valid for 8 hours on this machine only):',
    ...tokens,
    '',
    'Or ask from a shell:',
    `  curl -s ${url}/graphql -H 'content-type: application/json' -H 'x-purpose: ${department.purpose}' \\`,
    `    -H "authorization: Bearer $(npm run -s hub -- token --department ${department.code} --name ${department.officer.name})" \\`,
    `    -d '${JSON.stringify({ query: oneLine }).replaceAll("'", "'\\''")}'`,
    '',
    `Ctrl-C stops everything; the data stay in ${readConfig(environment).data} for the next start.`,
  ].join('\n');
}

/** Builds the console (the GraphQL IDE) when it is missing or older than its sources; without it the API works all the same. */
async function buildConsole(say: (text: string) => void): Promise<void> {
  const built = 'console/dist/ide/index.html';
  if (existsSync(built) && statSync(built).mtimeMs >= statSync('console/ide/main.tsx').mtimeMs) return;
  say('building the GraphQL IDE (once) …');
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js');
  const child = spawn(process.execPath, [vite, 'build', '--logLevel', 'error'], {
    cwd: 'console',
    stdio: 'inherit',
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) say('the IDE could not be built; the API works without it');
}
