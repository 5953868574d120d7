import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type PutOff, runStream } from '../jobs/run.ts';
import { findStream } from '../model/load.ts';
import type { Stream } from '../model/types.ts';
import { type Environment, jobsOf, openRuntime } from './runtime.ts';

export interface SyncCommand {
  file?: string;
  /** Whom to ask about stands on standard input, one a line: arguments are in everybody's list of processes and in the shell's history. */
  keysStdin?: boolean;
}

/** `hub sync CONNECTOR/STREAM [--file PATH | --keys-stdin]`: one run of one stream in this process; prints its counts as one JSON line. */
export async function sync(environment: Environment, name: string, options: SyncCommand, input: Readable): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const stream = findStream(runtime.model, name);
    if (stream === undefined) throw new Error(`there is no stream ${name}; the streams are: ${streamNames(runtime.model).join(', ')}`);
    const refusal = refusalOf(name, stream, options);
    if (refusal !== undefined) throw new Error(refusal);
    const lines = options.keysStdin ? (await text(input)).split(/\r?\n/) : undefined;
    const jobs = jobsOf(runtime, await runtime.log('sync'));
    const how = { trigger: 'manual', onProgress: progressOf(name) } as const;
    const given = { ...(options.file === undefined ? {} : { file: options.file }), ...(lines === undefined ? {} : { lines }) };
    const result = await runStream(jobs, stream, { ...how, ...given });
    if (result === undefined) throw new Error(`${name} is paused or being run by another process`);
    if ('deferred' in result) throw new Error(putOff(name, result.deferred));
    process.stdout.write(`${JSON.stringify({ connector: stream.connector, stream: stream.id, ...result.counts })}\n`);
  } finally {
    await runtime.close();
  }
}

function putOff(name: string, { why, until }: PutOff['deferred']): string {
  return until === undefined
    ? `${name} is paused`
    : `${name} is put off until ${until.toISOString()} (${why}); a worker goes on with it then`;
}

/** What is wrong with the options, for this stream. */
function refusalOf(name: string, { direction, via }: Stream, { file, keysStdin }: SyncCommand): string | undefined {
  const asks = via.kind === 'national-insurance' ? via.each?.ask : undefined;
  if (file !== undefined && !existsSync(file)) return `file ${file} does not exist`;
  if (direction === 'push' && file !== undefined) return 'a push stream takes no file';
  if (direction !== 'push' && via.kind === 'file' && via.drop === undefined && file === undefined)
    return `${name} is read from a file: --file PATH`;
  if (keysStdin && asks === undefined) return `${name} is not asked for by line`;
  if (asks !== undefined && !keysStdin && file === undefined)
    return `${name} is asked for by line: --keys-stdin, ${asks.join(' and ')} separated by a tab`;
  return undefined;
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
