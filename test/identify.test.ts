import { readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { identify } from '../src/commands/identify.ts';

interface Line {
  code: string;
  kind: string;
  valid: boolean;
  normalized: string;
  reason: string;
}

async function lines(codes: readonly string[]): Promise<Line[]> {
  const output = new PassThrough();
  const read = text(output);
  await identify(Readable.from(codes.map((code) => `${code}\n`)), output, new Date('2026-11-23T04:00:00Z'));
  output.end();
  return (await read)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

const vectors = JSON.parse(readFileSync(new URL('fixtures/identity-vectors.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<string, { code?: string; number?: string }[]>
>;

describe('HN-13 hub identify', () => {
  it('answers one line per line read, in order, blank lines too', async () => {
    const told = await lines(['', 'nothing', '91430104MA4000012W']);
    expect(told.map((line) => [line.code, line.kind, line.valid])).toEqual([
      ['', 'unknown', false],
      ['nothing', 'unknown', false],
      ['91430104MA4000012W', 'uscc', true],
    ]);
  });

  it('speaks of the code as written: one that holds only after folding is not valid and shows its right form', async () => {
    const [lower, full] = await lines(['91430104ma4000012w', '９１430104MA4000012W']);
    for (const line of [lower, full])
      expect(line).toMatchObject({ valid: false, normalized: '91430104MA4000012W', reason: 'not-normalised: holds after folding' });
  });

  it.each([
    ['uscc', 'uscc', 'valid'],
    ['citizenId', 'citizen-id', 'valid'],
  ])('agrees with the vectors of %s', async (group, kind, list) => {
    const codes = (vectors[group]?.[list] ?? []).map((v) => v.code ?? v.number ?? '');
    expect(codes.length).toBeGreaterThan(5);
    for (const line of await lines(codes)) expect(line).toMatchObject({ kind, valid: true });
  });
});
