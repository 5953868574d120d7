import { type SandboxOrganisation, makeOrganisations } from './organisations.ts';
import { type SandboxPerson, makePersons } from './persons.ts';
import { randomOf } from './random.ts';

/** A raw row as a platform hands it out: column or key → text, number or nothing. */
export type Row = Record<string, string | number | null>;

/** Everybody the three platforms know, and who works where. `today` and `year` come from the data's own clock. */
export interface Population {
  seed: number;
  now: string;
  today: string;
  year: number;
  organisations: SandboxOrganisation[];
  /** Medical institutions and pharmacies, with their codes. */
  institutions: (SandboxOrganisation & { institutionCode: string })[];
  persons: SandboxPerson[];
  /** Every practitioner works at exactly one institution. */
  staff: { person: SandboxPerson; institution: string }[];
}

export function makePopulation(seed: number, organisations: number, persons: number, now: string): Population {
  const people = makePersons(seed, persons);
  const all = makeOrganisations(
    seed,
    organisations,
    people.filter((person) => person.role === 'legal-representative'),
  );
  const institutions = all.flatMap((one) => (one.institutionCode ? [{ ...one, institutionCode: one.institutionCode }] : []));
  const today = now.slice(0, 10);
  const year = Number(now.slice(0, 4));
  return { seed, now, today, year, organisations: all, institutions, persons: people, staff: employ(seed, people, institutions) };
}

/** Pharmacists go to pharmacies three times of four, everybody else to medical institutions; every sixtieth works at the showcase. */
function employ(seed: number, persons: SandboxPerson[], institutions: Population['institutions']): Population['staff'] {
  const random = randomOf(seed, 'staff');
  const showcase = institutions[0];
  const hospitals = institutions.filter((one) => one.kind === 'medical');
  const pharmacies = institutions.filter((one) => one.kind === 'pharmacy');
  return persons
    .filter((person) => person.profession !== null)
    .map((person, i) => {
      const places = person.profession === '3' && pharmacies.length > 0 && random.chance(0.75) ? pharmacies : hospitals;
      const place = i % 60 === 0 && showcase ? showcase : random.pick(places);
      return { person, institution: place.institutionCode };
    });
}
