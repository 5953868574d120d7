import type { DictionaryStream, Model, PullStream, PushStream, Stream } from './types.ts';

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
