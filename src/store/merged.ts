import type { MappedRecord } from '../mapping/record.ts';
import type { Sql } from './sql.ts';

/** What past mergers mean for the records of a page: who must not be merged again, and what a merged subject tells by itself. */

/** Subjects that an officer parted: a record that names both is refused, however many mergers later. */
export interface Parted {
  any(subjects: readonly number[]): boolean;
  /** `other` became one with `into`: who was parted from it is parted from both. */
  merged(other: number, into: number): void;
}

/** Which of these subjects were parted from one another. One statement; there are as many rows as officers ever undid mergers. */
export async function partedOf(sql: Sql, subjects: readonly number[]): Promise<Parted> {
  const from = new Map<number, Set<number>>();
  const add = (one: number, other: number): void => {
    from.set(one, (from.get(one) ?? new Set()).add(other));
    from.set(other, (from.get(other) ?? new Set()).add(one));
  };
  if (subjects.length > 1) {
    const { rows } = await sql.query<{ one: number; other: number }>(
      `with recursive parted as (
         select from_id as one, into_id as other from subject_merge where undone_at is not null
         union select coalesce(a.merged_into, a.id), coalesce(b.merged_into, b.id)
         from parted p join subject a on a.id = p.one join subject b on b.id = p.other)
       select one, other from parted where one = any($1) and other = any($1)`,
      [subjects],
    );
    for (const { one, other } of rows) add(one, other);
  }
  return {
    any: (all) => all.some((one) => all.some((other) => from.get(one)?.has(other) === true)),
    merged(other, into) {
      for (const third of from.get(other) ?? []) add(into, third);
    },
  };
}

/**
 * What a merged subject's own records tell is its own from now on and stays when the merger is undone. A record is its own unless all its codes
 * came with the merger. Returns the subjects whose name was so far only the other's: what their own records call them counts.
 */
export async function noteOwn(
  sql: Sql,
  subjectOf: ReadonlyMap<MappedRecord, number>,
  formsOf: (id: { scheme: string; code: string }) => readonly Buffer[],
): Promise<Set<number>> {
  const { rows } = await sql.query<{ id: number; into_id: number; tokens: Buffer[]; added_name: boolean }>(
    `select id, into_id, tokens, added_name from subject_merge
     where into_id = any($1) and undone_at is null and (added_name or added_roles <> '{}')`,
    [[...new Set(subjectOf.values())]],
  );
  const renamed = new Set<number>();
  if (rows.length === 0) return renamed;
  const told = rows.map((merge) => {
    const came = new Set(merge.tokens.map((token) => token.toString('hex')));
    const own = [...subjectOf].filter(
      ([record, subject]) =>
        subject === merge.into_id && record.subject.identifiers.some((id) => !formsOf(id).some((form) => came.has(form.toString('hex')))),
    );
    const named = own.some(([record]) => record.subject.name !== null);
    if (named && merge.added_name) renamed.add(merge.into_id);
    return { id: merge.id, named, roles: [...new Set(own.flatMap(([record]) => record.subject.roles))] };
  });
  await sql.query(
    `update subject_merge m set added_name = m.added_name and not t.named,
       added_roles = array(select unnest(m.added_roles) except select unnest(string_to_array(t.roles, ',')) order by 1)
     from unnest($1::bigint[], $2::bool[], $3::text[]) as t(id, named, roles) where m.id = t.id`,
    [told.map((t) => t.id), told.map((t) => t.named), told.map((t) => t.roles.join(','))],
  );
  return renamed;
}
