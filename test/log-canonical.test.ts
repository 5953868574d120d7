import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { decode, encode } from '../src/log/canonical.ts';
import { genesis, link } from '../src/log/chain.ts';
import type { LogEntry } from '../src/log/entry.ts';
import { KINDS, OUTCOMES } from '../src/log/entry.ts';
import { tokeniseVariables } from '../src/log/tokens.ts';
import { sampleEntry } from './fixtures/log-entries.ts';

interface Vectors {
  writer: number;
  origin: { bootId: string; node: string; startedAt: string; after: { n: number; hash: string } };
  genesis: { sha256: string; sm3: string };
  entries: {
    seq: number;
    at: string;
    entry: Omit<LogEntry, 'subjects'> & { subjects: string[] };
    body?: string;
    bytes: number;
    sha256: string;
    sm3: string;
  }[];
}
const vectors = JSON.parse(readFileSync(new URL('fixtures/log-vectors.json', import.meta.url), 'utf8')) as Vectors;
const noon = new Date('2026-03-04T12:00:00.123Z');

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((value) => !value.includes('\0'));
const short = fc.constantFrom('', 'a', 'b', 'ab');
const anEntry = (word: fc.Arbitrary<string>): fc.Arbitrary<LogEntry> => {
  const words = fc.array(word, { maxLength: 3 });
  const orNull = fc.option(word);
  const natural = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  return fc.record({
    kind: fc.constantFrom(...KINDS),
    person: fc.record({ id: word, name: word }),
    department: orNull,
    role: orNull,
    region: orNull,
    actingFor: orNull,
    purpose: fc.record({ code: word, basis: orNull, case: orNull }),
    operation: orNull,
    document: word,
    variables: word,
    fields: words,
    masked: words,
    denied: words,
    categories: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 }),
    subjects: fc
      .array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 3 })
      .map((list) => list.map((token) => Buffer.from(token))),
    rows: natural,
    policy: word,
    rules: words,
    outcome: fc.constantFrom(...OUTCOMES),
    code: word,
    durationMs: natural,
    client: word,
  });
};

describe('the canonical bytes of a log entry', () => {
  it('P3 stay what they were: every frozen vector has its hash, in both suites', () => {
    expect(vectors.entries.length).toBeGreaterThanOrEqual(50);
    for (const suite of ['sha256', 'sm3'] as const) {
      const { bootId, node, startedAt, after } = vectors.origin;
      const begun = { bootId, node, startedAt: new Date(startedAt), after: { n: after.n, hash: Buffer.from(after.hash, 'hex') } };
      let hash = genesis(suite, begun);
      expect(hash.toString('hex')).toBe(vectors.genesis[suite]);
      for (const vector of vectors.entries) {
        const entry = { ...vector.entry, subjects: vector.entry.subjects.map((hex) => Buffer.from(hex, 'hex')) };
        const body = encode(entry, new Date(vector.at));
        hash = link(suite, hash, vectors.writer, vector.seq, body);
        expect([vector.seq, body.length, hash.toString('hex')]).toEqual([vector.seq, vector.bytes, vector[suite]]);
        if (vector.body) expect(body.toString('hex')).toBe(vector.body);
      }
    }
  });

  it('P3 read back as the entry that was written', () => {
    fc.assert(
      fc.property(anEntry(text), fc.date({ noInvalidDate: true }), (entry, at) => {
        expect(decode(encode(entry, at))).toEqual({ entry, at });
      }),
    );
  });

  it('P3 differ for any two different entries', () => {
    const seen = new Map<string, string>();
    const show = (entry: LogEntry): string => JSON.stringify({ ...entry, subjects: entry.subjects.map((token) => token.toString('hex')) });
    fc.assert(
      fc.property(anEntry(short), anEntry(short), (a, b) => {
        expect(encode(a, noon).equals(encode(b, noon))).toBe(show(a) === show(b));
        for (const entry of [a, b]) {
          const bytes = encode(entry, noon).toString('hex');
          expect(seen.get(bytes) ?? show(entry)).toBe(show(entry));
          seen.set(bytes, show(entry));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('P3 tell null from empty, one list from the next, and one column from its neighbour', () => {
    const forms: Partial<LogEntry>[] = [
      { role: null, region: '' },
      { role: '', region: null },
      { role: 'ab', region: 'c' },
      { role: 'a', region: 'bc' },
      { fields: ['a'], masked: [] },
      { fields: [], masked: ['a'] },
      { fields: ['a', 'b'] },
      { fields: ['ab'] },
      { fields: ['a|b'] },
      { fields: [''] },
    ];
    expect(new Set(forms.map((form) => encode(sampleEntry(1, form), noon).toString('hex'))).size).toBe(forms.length);
  });

  it('P3 are refused when a byte is cut off, added or of another version', () => {
    const body = encode(sampleEntry(5), noon);
    for (let length = 0; length < body.length; length++) expect(() => decode(body.subarray(0, length))).toThrow('not a log entry');
    expect(() => decode(Buffer.concat([body, Buffer.of(0)]))).toThrow('bytes left over');
    expect(() => decode(Buffer.concat([Buffer.of(2), body.subarray(1)]))).toThrow('unknown version');
    const forged = encode(sampleEntry(5, { kind: 'subscription' }), noon);
    forged.write('SUBSCRIPTION', forged.indexOf('subscription'));
    expect(() => decode(forged)).toThrow('unknown word');
  });

  it('P2 hold no value that the log could not give back: such an entry is refused', () => {
    for (const rows of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => encode(sampleEntry(1, { rows }), noon)).toThrow(RangeError);
    expect(() => encode(sampleEntry(1, { subjects: [Buffer.alloc(15)] }), noon)).toThrow(RangeError);
    const { entry } = decode(encode(sampleEntry(1, { role: 'a\0b\ud800c' }), noon));
    expect(entry.role).toBe('a\ufffdb\ufffdc');
  });
});

describe('tokenised variables', () => {
  const token = (value: string): string => `<${value.length}>`;

  it('P15 keep names, numbers and shape, and replace every text', () => {
    const variables = { where: { name: '张三', codes: ['a', ''], amount: 12.5 }, first: 10, last: null, deep: true, none: undefined };
    expect(tokeniseVariables(variables, token)).toBe(
      '{"deep":true,"first":10,"last":null,"none":null,"where":{"amount":12.5,"codes":["t:<1>",""],"name":"t:<2>"}}',
    );
  });

  it('P15 do not let a number or a key carry an identity or telephone number', () => {
    const long = 13_800_000_000;
    expect(tokeniseVariables({ phone: long, id: 430_102_199_001_010_000n, [String(long)]: 1 }, token)).toBe(
      '{"t:<11>":1,"id":"t:<18>","phone":"t:<11>"}',
    );
  });

  it('P2 are the same text whatever the order of the keys', () => {
    const dictionary = fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(fc.string(), fc.integer(), fc.constant(null)));
    fc.assert(
      fc.property(dictionary, (variables) => {
        const turned = Object.fromEntries(Object.entries(variables).reverse());
        expect(tokeniseVariables(turned, token)).toBe(tokeniseVariables(variables, token));
        JSON.parse(tokeniseVariables(variables, token));
      }),
    );
  });

  it('P12 end at a depth and cut long names', () => {
    const deep = JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown;
    expect(tokeniseVariables(deep, token)).toBe('[[[[[[[["…"]]]]]]]]');
    expect(tokeniseVariables({ ['k'.repeat(100)]: 1 }, token)).toBe(`{"${'k'.repeat(64)}":1}`);
  });
});
