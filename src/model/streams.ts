import type { DictionaryStream, Model, PullStream, PushStream, PushVia, Stream, Via } from './types.ts';

/** Stands for a platform itself among its streams, in issues. */
export const PLATFORM_ISSUES = 'platform';

/** `connector/stream` → the stream; undefined when there is none. */
export function findStream(model: Model, name: string): Stream | undefined {
  const [connector = '', stream = ''] = name.split('/');
  return model.connectors.get(connector)?.streams.get(stream);
}

export function pullStreams(model: Model): PullStream[] {
  return allStreams(model).filter((s) => s.direction === 'pull');
}

export function dictionaryStreams(model: Model): DictionaryStream[] {
  return allStreams(model).filter((s) => s.direction === 'dictionary');
}

export function pushStreams(model: Model): PushStream[] {
  return allStreams(model).filter((s) => s.direction === 'push');
}

export function allStreams(model: Model): Stream[] {
  return [...model.connectors.values()].flatMap((c) => [...c.streams.values()]);
}

/** Nobody has to hand over a file, enter a record or say who is asked about first. */
export function runsByItself(via: Via): boolean {
  if (via.kind === 'national-insurance') return via.each?.ask === undefined;
  return via.kind === 'file' ? via.drop !== undefined : via.kind !== 'manual';
}

/** How far it has been read is a time: it can be read again from an earlier one. */
export function readsByTime(via: Via | PushVia): boolean {
  return (
    (via.kind === 'http' && 'paging' in via && via.paging !== undefined) ||
    (via.kind === 'database' && 'watermark' in via && via.watermark !== undefined)
  );
}
