import { StopStream } from '../errors.ts';
import type { Json, NationalInsuranceVia } from '../model/types.ts';
import type { PullFrom, RawRecord } from './contract.ts';
import { textAt } from './template.ts';

/** Whom or what one call is about. */
export interface Asked {
  /** For the place of its records; never who it is. */
  at: string;
  /** Page variables. */
  values: Record<string, string>;
  /** A line that asks for nobody. */
  broken?: RawRecord['broken'];
}

/** What one page of a run asks. */
export interface Batch {
  asked: Asked[];
  cursor: Json;
  last: boolean;
}

/** A number, a name and what else a line may hold. */
const LONGEST_LINE = 200;

/**
 * The calls of a stream in pages: one for each known subject, for each line that was given, or a single one. A page of lines leaves no cursor:
 * who is asked about is different every time, and is nobody's to keep.
 */
export function batchesOf(via: NationalInsuranceVia, from: PullFrom): AsyncIterable<Batch> | Batch[] {
  const { each } = via;
  if (each?.ask !== undefined) return byLine(via.infno, each.ask, each.size, from.lines);
  if (each?.scheme !== undefined) return bySubject(via.infno, each.scheme, each.size, from);
  return [{ asked: [{ at: '', values: {} }], cursor: null, last: true }];
}

async function* bySubject(infno: string, scheme: string, size: number, from: PullFrom): AsyncGenerator<Batch> {
  if (from.keys === undefined) throw new StopStream(`keys-required: ${infno} 需要按已知的 ${scheme} 逐一查询`);
  let after = textAt(from.cursor ?? undefined, 'after') ?? null;
  for (;;) {
    const codes = await from.keys(scheme, after, size);
    const last = codes.length < size;
    after = codes.at(-1) ?? after;
    yield { asked: codes.map((code, i) => ({ at: `subject ${i + 1}`, values: { code } })), cursor: last ? null : { after }, last };
    if (last) return;
  }
}

function byLine(infno: string, parts: readonly string[], size: number, lines: PullFrom['lines']): Batch[] {
  if (lines === undefined) throw new StopStream(`keys-required: ${infno} 只按需查询，请用 --keys-stdin 逐行给出 ${parts.join('、')}`);
  const asked = lines.flatMap((line, i) => (line.trim() === '' ? [] : [toAsked(line, parts, `line ${i + 1}`)]));
  const pages = Math.max(1, Math.ceil(asked.length / size));
  return Array.from({ length: pages }, (_, i) => ({ asked: asked.slice(i * size, (i + 1) * size), cursor: null, last: i === pages - 1 }));
}

function toAsked(line: string, parts: readonly string[], at: string): Asked {
  const cells = line.split('\t').map((cell) => cell.trim());
  const values = Object.fromEntries(parts.map((name, i) => [name, cells[i] ?? '']));
  if (cells.length === parts.length && cells.every((cell) => cell !== '') && line.length <= LONGEST_LINE) return { at, values };
  return { at, values, broken: { rule: 'bad-line', message: `该行应为以制表符分隔的 ${parts.length} 项，均不能为空` } };
}
