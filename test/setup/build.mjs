// Loads the hub's sources with the changes that HUB_TEST_BUILD names: another clock, and builds that are broken on purpose.
// Imported after scripts/ts-hook.mjs, which loads every other source.
import { registerHooks } from 'node:module';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';

/** Name → file, the text in it that MUST be there once, and what stands there instead. */
const CHANGES = {
  // The hub's clock as the test's own: `origin speed` in HUB_TEST_CLOCK.
  clock: [
    'src/commands/runtime.ts',
    'now: () => new Date()',
    `now: () => { const [origin, speed] = (process.env.HUB_TEST_CLOCK ?? '').split(' ').map(Number);
      return new Date(origin + (Date.now() - origin) * speed); }`,
  ],
  // The cursor moves in a transaction of its own before the page is stored, which takes its time: few kills are enough to fall between.
  'cursor-first': [
    'src/store/page.ts',
    '  return transactionOf(pool, async (sql) => {\n    await holdStream(sql, run);\n    const records =',
    `  await transactionOf(pool, (sql) => advance(sql, run, page.cursor, {}));
     await new Promise((resolve) => setTimeout(resolve, 200));
     return transactionOf(pool, async (sql) => {
       await holdStream(sql, run);
       const records =`,
  ],
  // The answer does not wait for its row.
  'answer-first': [
    'src/resolvers/answer.ts',
    'const receipt = await hub.log.append(await entryOf(hub, request, failure && codeOf(failure)));',
    `const entry = await entryOf(hub, request, failure && codeOf(failure));
     const receipt = { id: '', writer: 0, seq: 0, hash: '', at: '' };
     setTimeout(() => hub.log.append(entry).catch(() => undefined), 20);`,
  ],
  // The commit of a row does not wait for the disk.
  'commit-unflushed': [
    'src/log/session.ts',
    `set_config('synchronous_commit', 'on', false)`,
    `set_config('synchronous_commit', 'off', false)`,
  ],
  // A key of its own for every attempt: the platform cannot know that it has had the record.
  'key-per-attempt': [
    'src/jobs/push-body.ts',
    '    key: keyOf(row),\n    act: row.act,',
    '    key: `${keyOf(row)}:${Math.random()}`,\n    act: row.act,',
  ],
  // The name of a batch is not stored: after a stop nobody knows that it was written.
  'batch-unnamed': ['src/connectors/push-file.ts', `yield { key, outcome: 'drafted', draft: name };`, `yield { key, outcome: 'drafted' };`],
  // What the queues forget nobody remembers.
  'queues-trusted': [
    'src/jobs/worker.ts',
    '  await ensureLogPartitions(jobs.pool, jobs.now(), 2);\n',
    '  if (jobs.now().getTime() > 0) return;\n  await ensureLogPartitions(jobs.pool, jobs.now(), 2);\n',
  ],
  // Whatever arrives last is the newest.
  'older-wins': ['src/store/records.ts', 'return version !== null && than !== null && version < than;', 'return false;'],
};

const changes = (process.env.HUB_TEST_BUILD ?? '')
  .split(' ')
  .filter((name) => name !== '')
  .map((name) => {
    const [file, old, now] = CHANGES[name] ?? [];
    if (file === undefined) throw new Error(`there is no build ${name}`);
    const url = new URL(`../../${file}`, import.meta.url);
    if (readFileSync(url, 'utf8').split(old).length !== 2) throw new Error(`build ${name}: ${file} has not exactly one place to change`);
    return { href: url.href, old, now };
  });

registerHooks({
  load(url, context, nextLoad) {
    const own = changes.filter((change) => change.href === url);
    if (own.length === 0) return nextLoad(url, context);
    const filename = fileURLToPath(url);
    const source = own.reduce((text, change) => text.replace(change.old, () => change.now), readFileSync(filename, 'utf8'));
    const { code } = transformSync(source, { filename, sourceMaps: 'inline' });
    return { format: 'module', source: code, shortCircuit: true };
  },
});
