/** What masks, regions and opaque texts never tell. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { regionPrefix } from '../src/access/caller.ts';
import { maskText } from '../src/access/mask.ts';
import type { Mask } from '../src/model/types.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { concealCursor, concealId, type Place, revealCursor, revealId } from '../src/store/opaque.ts';

describe('a mask', () => {
  const masks = fc.constantFrom<Mask>('name', 'id-number', 'tail', 'hidden');
  // The star is what a mask writes: a value made of it says nothing anyway.
  const text = fc.string({ unit: 'grapheme', minLength: 2, maxLength: 40 }).filter((value) => !value.includes('*'));

  it('HN-5 never gives the value, nor anything longer than its ends', () => {
    fc.assert(
      fc.property(masks, text, (mask, value) => {
        const masked = maskText(mask, value);
        expect(masked).not.toBe(value);
        const shown = Array.from(masked).filter((character) => character !== '*').length;
        expect(shown).toBeLessThanOrEqual(Math.max(1, Math.floor(Array.from(value).length * (2 / 3))));
        if (mask === 'hidden') expect(masked).toBe('***');
      }),
    );
  });
});

describe('a region', () => {
  const code = fc
    .tuple(fc.integer({ min: 11, max: 82 }), fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 99 }))
    .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(''));

  it('HN-6 contains itself and what begins with it, and never another province', () => {
    fc.assert(
      fc.property(code, code, (one, other) => {
        const prefix = regionPrefix(one);
        expect([2, 4, 6]).toContain(prefix.length);
        expect(one.startsWith(prefix)).toBe(true);
        expect(one.slice(prefix.length)).toMatch(/^0*$/);
        if (other.slice(0, 2) !== one.slice(0, 2)) expect(other.startsWith(prefix)).toBe(false);
      }),
    );
  });

  it('HN-6 widens from county to prefecture to province', () => {
    fc.assert(
      fc.property(code, (one) => {
        const prefixes = [one, `${one.slice(0, 4)}00`, `${one.slice(0, 2)}0000`].map(regionPrefix);
        expect(prefixes[0]?.startsWith(prefixes[1] ?? '-')).toBe(true);
        expect(prefixes[1]?.startsWith(prefixes[2] ?? '-')).toBe(true);
      }),
    );
  });
});

describe('an opaque text', () => {
  const keys = openKeys(newKeyRing());
  const others = openKeys(newKeyRing());
  const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const day = fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 10));

  it('HUB-4 gives back what it stands for, to its own kind and its own hub alone', () => {
    fc.assert(
      fc.property(id, fc.constantFrom<Place>('subject', 'record'), day, (row, place, on) => {
        const text = concealId(keys, place, row);
        expect(text).toMatch(/^[\w-]{22}$/);
        expect(revealId(keys, place, text)).toBe(row);
        expect(revealId(keys, place === 'subject' ? 'record' : 'subject', text)).toBeUndefined();
        expect(revealCursor(keys, text)).toBeUndefined();
        expect(revealId(others, place, text)).toBeUndefined();
        const cursor = concealCursor(keys, on, row);
        expect(revealCursor(keys, cursor)).toEqual({ day: on, id: row });
        expect(revealId(keys, place, cursor)).toBeUndefined();
      }),
    );
  });

  it('HUB-4 cannot be made up, nor changed by a character', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 40 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
        ),
        (text) => {
          expect([revealId(keys, 'subject', text), revealId(keys, 'record', text), revealCursor(keys, text)]).toEqual([
            undefined,
            undefined,
            undefined,
          ]);
        },
      ),
    );
    fc.assert(
      fc.property(id, fc.nat(21), fc.constantFrom(...'AZaz09_-'), (row, at, character) => {
        const text = concealId(keys, 'record', row);
        const changed = `${text.slice(0, at)}${character}${text.slice(at + 1)}`;
        if (changed !== text) expect(revealId(keys, 'record', changed)).toBeUndefined();
      }),
    );
  });
});
