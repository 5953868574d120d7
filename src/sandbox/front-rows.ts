import type { SandboxOrganisation } from './organisations.ts';
import type { SandboxPerson } from './persons.ts';
import type { Population, Row } from './population.ts';
import type { Random } from './random.ts';
import { addDays, addMinutes, dayBetween, earlier, timeOn } from './times.ts';

/** One row of a shared table of the front database with its control columns; XH is given when the whole table is in order. */
export function shared(random: Random, population: Population, unit: string, since: string, columns: Row): Row {
  const at = timeOn(random, earlier(addDays(since, random.int(1, 20)), addDays(population.today, -1)));
  return { XXBH: random.guid(), ...columns, SJHZDW: unit, GXSJ: at, JHKG: '0', ZSGBZ: 'I', XRSJ: addMinutes(at, random.int(2, 25)) };
}

/** A later version of the same row: changed (U), or no longer held by the platform (D). */
export function revised(random: Random, population: Population, row: Row, mark: 'U' | 'D', changes: Row = {}): Row {
  const day = dayBetween(random, addDays(String(row['GXSJ']).slice(0, 10), 1), addDays(population.today, -1));
  const at = day > String(row['GXSJ']).slice(0, 10) ? timeOn(random, day) : addMinutes(String(row['GXSJ']), 30);
  return { ...row, ...changes, ZSGBZ: mark, GXSJ: at, XRSJ: addMinutes(at, random.int(2, 25)) };
}

/** Rows in the order in which the platform wrote them, numbered from 1. Rows of one time keep their order, so a late version stays late. */
export function numbered(rows: readonly Row[]): Row[] {
  return rows.map((row, i) => ({ XH: i + 1, ...row }));
}

export function byTime(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => (String(a['GXSJ']) < String(b['GXSJ']) ? -1 : String(a['GXSJ']) > String(b['GXSJ']) ? 1 : 0));
}

export interface Holder {
  organisation: SandboxOrganisation | null;
  person: SandboxPerson | null;
}

/** Name, kind and number of whoever a row is about, under that table's own column names. */
export function holder(of: Holder, columns: { name: string; kind: string; number: string }): Row {
  return {
    [columns.name]: of.organisation?.name ?? of.person?.name ?? '',
    [columns.kind]: of.organisation ? '机构' : '个人',
    [columns.number]: of.organisation?.creditCode ?? of.person?.idNumber ?? '',
  };
}

/** XZQH: the county of whoever the row is about. */
export function regionOf(of: Holder): string {
  const county = (of.organisation ?? of.person)?.county;
  if (!county) throw new RangeError('a row needs a subject');
  return county.code;
}

/** Everybody a share of whom gets a row; the showcase and the first of its staff always. */
export function chosen(random: Random, population: Population, organisations: number, persons: number): Holder[] {
  return [
    ...population.organisations
      .filter((one, i) => i === 0 || random.chance(one.troubled ? organisations * 2 : organisations))
      .map((organisation) => ({ organisation, person: null })),
    ...population.persons.filter((_, i) => i === 0 || random.chance(persons)).map((person) => ({ organisation: null, person })),
  ];
}

export function prefectureOf(of: Holder): string {
  return (of.organisation ?? of.person)?.county.prefecture.name ?? '湖南省';
}
