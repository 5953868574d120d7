import type { Connector, Stream } from './types.ts';

type Say = (part: string, path: string, reason: string) => void;

/** Versions that the hub can write as the platform does, to hash them. */
const CLOCK = 'yyyy-MM-dd HH:mm:ss';
const WINDOW = ['since', 'until'];
const PAGE = ['page', 'size'];

/** What the platform is asked fits the stream: the same key, a version that both sides write alike, and no name that nothing fills. */
export function checkReconcile(
  connector: Connector,
  stream: Stream,
  part: string,
  path: string,
  say: Say,
  placeholders: (value: unknown) => string[],
): void {
  const { reconcile } = stream;
  if (reconcile === undefined) return;
  const at = `${path}/reconcile`;
  const wrong = (reason: string, where = '') => say(part, `${at}${where}`, reason);
  if (stream.direction === 'dictionary') return wrong('code tables are not compared');
  if (reconcile.kind === 'listed') {
    if (stream.direction !== 'push' || stream.via.kind !== 'database') wrong('a list is for what is pushed into a database', '/listed');
    return;
  }
  if (stream.via.kind !== 'http') wrong('is asked over the API of a stream with via http');
  const { totals, keys, rows } = reconcile;
  const fills: [string, unknown, string[]][] = [
    ['/totals', [totals.path, totals.body], WINDOW],
    ['/keys', [keys.path, keys.body], [...WINDOW, ...PAGE]],
    ['/rows', [rows?.path, rows?.body], keys.key],
  ];
  for (const [where, texts, variables] of fills)
    for (const name of new Set(placeholders(texts)))
      if (!connector.settings.has(name) && !variables.includes(name)) wrong(`{${name}} is neither a setting nor filled in here`, where);
  if (stream.direction === 'push') {
    if (keys.key.length !== 1) wrong('a push has one key, under which it was sent', '/keys/key');
    return;
  }
  const { key, version } = stream.mapping;
  if (keys.key.join() !== key.join()) wrong(`the key of the stream is ${key.join(', ')}`, '/keys/key');
  if (version?.from.length !== 1 || version.from[0] !== keys.stamp || version.date !== CLOCK)
    wrong(`the stamp must be the version of the stream, written ${CLOCK}`, '/keys/stamp');
  if (rows === undefined) wrong('a pull stream needs rows: its paging may be what loses them');
}
