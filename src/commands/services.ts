import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import type { Config } from '../config.ts';
import { openWebhookSender } from '../connectors/webhook.ts';
import { openBackend } from '../jobs/queues.ts';
import { startWorker } from '../jobs/worker.ts';
import { openCallers } from '../resolvers/callers.ts';
import { type Server, startServer } from '../resolvers/server.ts';
import { keepModel } from '../store/model-versions.ts';
import { followRevocations } from '../store/sessions.ts';
import type { Pool } from '../store/sql.ts';
import { type Environment, jobsOf, openRuntime, type Runtime } from './runtime.ts';

/** `hub serve`: the API. Stops cleanly on SIGTERM and SIGINT: no new requests, answers those under way, closes its log chain. */
export async function serve(environment: Environment): Promise<void> {
  const runtime = await openRuntime({
    environment,
    local: false,
    statementTimeoutMs: (model) => model.limits.query.milliseconds.max,
  });
  await runUntilStopped(runtime, async () => {
    const server = await openServer(runtime);
    runtime.logger.info({ url: server.url }, 'API ready');
  });
}

/**
 * Opens a service and runs it until it is told to stop. One that cannot be opened closes what it has opened already: a process that held a connection
 * would live on without serving anybody, and no supervisor would start it again.
 */
async function runUntilStopped(runtime: Runtime, open: () => Promise<void>): Promise<void> {
  try {
    await open();
    await stopSignal();
  } catch (error) {
    await runtime.close().catch(() => undefined);
    throw error;
  }
  await runtime.close();
}

/** Opens the API of a runtime; it stops with the runtime, before its log. */
export async function openServer(runtime: Runtime): Promise<Server> {
  const { config, model, pool, keys } = runtime;
  const log = await runtime.log('serve');
  await keepModel(pool, model.version, runtime.texts);
  const revoked = await followRevocations(pool);
  runtime.onClose(async () => revoked.close());
  const trust = { issuer: config.issuer, audience: config.audience, jwksUrl: config.jwksUrl, data: config.data, revoked };
  const sender = openWebhookSender({ hosts: config.webhookHosts, ca: config.webhookCa });
  runtime.onClose(async () => sender.close());
  const server = await startServer({
    model,
    pool,
    keys,
    log,
    callers: await openCallers(model, trust),
    host: config.host,
    port: config.port,
    tls: config.tls,
    trustProxy: config.trustProxy,
    documentMode: config.documents,
    consoleDir: resolve('console/dist'),
    webhooks: config.webhookHosts.length > 0 ? { sender, retryMs: 2000 } : undefined,
    now: () => new Date(),
    onError: (error) => runtime.logger.error({ err: error instanceof Error ? error.stack : String(error) }, 'error'),
  });
  runtime.onClose(() => server.stop());
  return server;
}

/** `hub work`: schedules and runs the streams. */
export async function work(environment: Environment): Promise<void> {
  const runtime = await openRuntime({ environment, local: false });
  await runUntilStopped(runtime, async () => {
    await openWorker(runtime, 4, { reconcile: true });
    runtime.onClose(await openProbe(runtime.config, runtime.pool));
  });
}

/** `GET /ready` of a process without API, for health checks: says whether it can do its work, which is to say whether its database answers. */
export async function openProbe(config: Config, pool: Pool): Promise<() => Promise<void>> {
  const probe = createServer((request, response) => {
    const ready =
      request.url === '/ready'
        ? pool.query('select 1').then(
            () => 200,
            () => 503,
          )
        : Promise.resolve(404);
    void ready.then((status) => response.writeHead(status).end());
  });
  probe.listen(config.port, config.host);
  await once(probe, 'listening');
  return async () => void probe.close();
}

export async function openWorker(
  runtime: Runtime,
  concurrency: number,
  { reconcile = false } = {},
): Promise<Awaited<ReturnType<typeof startWorker>>> {
  const log = await runtime.log('work');
  await keepModel(runtime.pool, runtime.model.version, runtime.texts);
  const backend = openBackend({ redisUrl: runtime.config.redisUrl, databaseUrl: runtime.databaseUrl });
  runtime.onClose(() => backend.close());
  const running = await startWorker(jobsOf(runtime, log), backend, { concurrency, reconcile });
  runtime.onClose(() => running.stop());
  return running;
}

export async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
}
