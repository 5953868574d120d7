import type { Mask } from '../model/types.ts';

const stars = (n: number) => '*'.repeat(Math.max(0, n));

/**
 * What a masked text shows (HN-5). The result never allows the value to be put together again: an id number keeps region and
 * last four, a name its first and last character, `tail` its last four of at least eight, `hidden` nothing, not even the length.
 */
export function maskText(mask: Mask, value: string): string {
  const characters = Array.from(value);
  const { length } = characters;
  const first = (n: number) => characters.slice(0, n).join('');
  const last = (n: number) => characters.slice(length - n).join('');
  switch (mask) {
    case 'name':
      if (length <= 1) return '*';
      return length === 2 ? `${first(1)}*` : `${first(1)}${stars(length - 2)}${last(1)}`;
    case 'id-number':
      if (length >= 15) return `${first(4)}${stars(length - 8)}${last(4)}`;
      return length >= 8 ? `${first(2)}${stars(length - 4)}${last(2)}` : stars(length);
    case 'tail':
      return length >= 8 ? `${stars(length - 4)}${last(4)}` : stars(length);
    case 'hidden':
      return '***';
  }
}
