import { existsSync } from 'node:fs';
import { runPull } from '../jobs/pull.ts';
import { runPush } from '../jobs/push.ts';
import { findStream } from '../model/load.ts';
import { type Environment, jobsOf, openRuntime } from './runtime.ts';

/** `hub sync CONNECTOR/STREAM [--file PATH]`: one run of one stream in this process; prints its counts as one JSON line. */
export async function sync(environment: Environment, name: string, options: { file?: string }): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const stream = findStream(runtime.model, name);
    if (stream === undefined) throw new Error(`there is no stream ${name}; the streams are: ${streamNames(runtime.model).join(', ')}`);
    if (options.file !== undefined && !existsSync(options.file)) throw new Error(`file ${options.file} does not exist`);
    if (stream.direction === 'push' && options.file !== undefined) throw new Error('a push stream takes no file');
    if (stream.direction === 'pull' && stream.via.kind === 'file' && stream.via.drop === undefined && options.file === undefined)
      throw new Error(`${name} is read from a file: --file PATH`);
    const jobs = jobsOf(runtime, await runtime.log('sync'));
    const onProgress = progressOf(name);
    const result =
      stream.direction === 'pull'
        ? await runPull(jobs, stream, { trigger: 'manual', onProgress, ...(options.file === undefined ? {} : { file: options.file }) })
        : await runPush(jobs, stream, { trigger: 'manual', onProgress });
    if (result === undefined) throw new Error(`${name} is paused or being run by another process`);
    process.stdout.write(`${JSON.stringify({ connector: stream.connector, stream: stream.id, ...result.counts })}\n`);
  } finally {
    await runtime.close();
  }
}

function streamNames(model: { connectors: Map<string, { streams: Map<string, unknown> }> }): string[] {
  return [...model.connectors].flatMap(([connector, c]) => [...c.streams.keys()].map((stream) => `${connector}/${stream}`));
}

function progressOf(name: string): (counts: { in: number; issues: number }, total: number | undefined) => void {
  return (counts, total) => {
    const of = total === undefined ? '' : ` of ${total}`;
    process.stderr.write(
      `${process.stderr.isTTY ? '\r' : ''}${name}: ${counts.in}${of} read, ${counts.issues} issues${process.stderr.isTTY ? '' : '\n'}`,
    );
  };
}
