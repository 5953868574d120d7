/** Consents and cases of the two worlds: those that open something to the caller are in both; those that open nothing are others in each. */
import type { Grant } from '../../src/access/decide.ts';
import { CASE_STATED } from './hub.ts';
import type { Random } from '../../src/sandbox/random.ts';
import { registerCase } from '../../src/store/cases.ts';
import { giveConsent, type NewConsent } from '../../src/store/consents.ts';
import type { Keys } from '../../src/store/keys.ts';
import type { Sql } from '../../src/store/sql.ts';
import { CALLER_REGION, type MadeSubject } from '../fixtures/population.ts';
import type { Ties } from './sight.ts';

export interface Tied {
  department: string;
  purpose: string;
  /** Whose consents the caller can list. */
  lists: 'all' | 'own' | 'none';
}

const OFFICER = { id: 'o-1', name: '王小明' };

export async function tie(
  sql: Sql,
  keys: Keys,
  ties: Ties,
  people: readonly (MadeSubject | undefined)[],
  grant: Grant,
  caller: Tied,
  random: Random,
): Promise<void> {
  const here = people.filter((subject) => subject !== undefined);
  const codesOf = (subjects: readonly MadeSubject[]) => subjects.flatMap(({ identifiers }) => identifiers.slice(0, 1));
  const consent = async (subject: MadeSubject, differently: Partial<NewConsent>): Promise<number | undefined> => {
    const [own] = codesOf([subject]);
    if (own === undefined) return undefined;
    const { department, purpose } = caller;
    const given = {
      department,
      person: null,
      purposes: [purpose],
      categories: [1],
      validFrom: '2026-01-01',
      validUntil: '2026-12-31',
      channel: 'window',
    };
    return (await giveConsent(sql, keys, OFFICER, own, { ...given, evidence: 'E-1', ...differently })).id;
  };
  let cases = 0;
  const register = (subjects: readonly MadeSubject[], number: string, department: string, region: string, officer: string) =>
    registerCase(
      sql,
      keys,
      { ...OFFICER, department, region },
      { number, basis: '依据', region, officer: { id: officer, name: '陈静' }, subjects: codesOf(subjects) },
    );

  const by = new Set(grant.scopes.map((scope) => scope.tie?.by));
  if (by.has('consented'))
    for (const subject of here) {
      const categories = ties.consents.get(subject.index ?? -1);
      if (categories) await consent(subject, { categories });
    }
  const concerned = here.filter((subject) => ties.cases.has(subject.index ?? -1));
  if (by.has('own-case')) await register(concerned, CASE_STATED, caller.department, CALLER_REGION, 'wj-0001');
  for (const subject of here) {
    // Of another office of the department, and of another department: they open nothing, and are listed to nobody here.
    if (random.chance(0.3)) await register([subject], `OTHER-${(cases += 1)}`, caller.department, '430400', 'wj-9999');
    if (random.chance(0.2)) await register([subject], CASE_STATED, `nobody-${(cases += 1)}`, CALLER_REGION, 'wj-0001');
    // A window lists the consents of any subject, and a subject its own: these are alike.
    if (caller.lists === 'all' || (caller.lists === 'own' && subject.index === ties.own) || random.chance(0.5)) continue;
    const useless = random.pick([{}, { validUntil: '2026-06-01' }, { department: 'nobody' }, { purposes: ['none'] }]);
    const id = await consent(subject, { categories: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], ...useless });
    if (Object.keys(useless).length === 0)
      await sql.query(`update consent set revoked_at = now(), revoked_by = 'o', revoked_name = 'o' where id = $1`, [id]);
  }
}
