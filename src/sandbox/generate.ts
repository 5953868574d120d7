import { createHash } from 'node:crypto';
import { makeCases } from './cases.ts';
import { byTime, numbered } from './front-rows.ts';
import type { SandboxOrganisation } from './organisations.ts';
import type { SandboxPerson } from './persons.ts';
import { EMPLOYER, type DirtyRow, type Planted, dirtyRows, planted } from './plant.ts';
import { type Population, type Row, makePopulation } from './population.ts';
import { judgmentDebtors, dishonestyLists, otherInformation, violations } from './rows-conduct.ts';
import { licences, penalties } from './rows-credit-china.ts';
import { moreOfCreditChina } from './rows-directories.ts';
import { elsewhere } from './rows-elsewhere.ts';
import { creditGrades, institutionLookups, medicalInstitutions, pharmacies, practitioners, serviceAgreements } from './rows-insurance.ts';
import {
  benefitSuspensions,
  employerContributions,
  employers,
  insuranceRelations,
  insuredPersons,
  residentContributions,
} from './rows-insured.ts';
import { designationSuspensions, designations, nurses, pharmacists, physicians, technicians } from './rows-practice.ts';
import { packets } from './rows-packets.ts';
import { dictionaries } from './rows-dictionary.ts';
import { personLookups } from './rows-lookup.ts';
import { abnormalOperations, marketRegistrations, publicCreditEvaluations } from './rows-registration.ts';
import { hunanServices } from './rows-services.ts';
import { creditCommitments, honours } from './rows-standing.ts';

export interface Counts {
  /** Raw records that the stream delivers on a first sync. in = stored + unchanged + issues. */
  in: number;
  stored: number;
  unchanged: number;
  issues: number;
}

export interface SandboxData {
  seed: number;
  /** Local time (Asia/Shanghai) at which the data ends. */
  now: string;
  /** SHA-256 over all rows and the answer key. */
  digest: string;
  organisations: SandboxOrganisation[];
  persons: SandboxPerson[];
  /** `connector/stream` → its raw rows, as the platform delivers them. */
  streams: ReadonlyMap<string, readonly Row[]>;
  /** What streams answer when they are asked for somebody; a sync delivers nothing of it, and nobody expects it. */
  onDemand: ReadonlyMap<string, readonly Row[]>;
  /** The rows of national-insurance/practitioners with the institution that 5102 has to be asked about. */
  practitioners: readonly { institution: string; row: Row }[];
  /** Credit codes that the platforms know; pushes about others are refused. */
  directory: ReadonlySet<string>;
  /** One organisation with records in every category an organisation can have, and one of its staff for those of a person. */
  showcase: {
    creditCode: string;
    name: string;
    institutionCode: string;
    employerNumber: string;
    practitionerCode: string;
    practitionerName: string;
    practitionerIdNumber: string;
  };
  answerKey: Planted[];
  expected: Record<string, Counts>;
}

export interface GenerateOptions {
  seed: number;
  organisations?: number;
  persons?: number;
  /** Local time text. A constant by default, so that data never depends on the wall clock. */
  now?: string;
}

/** What the three platforms hold. The same options give the same data on every machine. Throws RangeError for sizes too small to plant the dirt. */
export function generate(options: GenerateOptions): SandboxData {
  const population = makePopulation(
    options.seed,
    options.organisations ?? 300,
    options.persons ?? 1000,
    options.now ?? '2026-11-20 08:00:00',
  );
  const first = goodRows(population);
  const good = new Map([
    ...first,
    ...moreOfCreditChina(population, first),
    ...hunanServices(population),
    ...packets(population),
    ...elsewhere(population),
    ...dictionaries(population),
  ]);
  const relations = first.get('national-insurance/insurance-relations') ?? [];
  const onDemand = new Map([['national-insurance/person-lookup', personLookups(population, relations)]]);
  const dirty = dirtyRows(population, good);
  const carried = new Map([...good].map(([stream, rows]) => [stream, delivered(stream, rows, dirty)]));
  const staffed = byInstitution(carried.get('national-insurance/practitioners') ?? []);
  const streams = new Map([...carried, ['national-insurance/practitioners', staffed.map((one) => one.row)]]);
  const answerKey = dirty.map((one) => planted(one.recipe, labelOf(one, carried)));
  const digest = createHash('sha256')
    .update(JSON.stringify([[...streams], [...onDemand], staffed.map((one) => one.institution), answerKey]))
    .digest('hex');
  return {
    seed: options.seed,
    now: population.now,
    digest,
    organisations: population.organisations,
    persons: population.persons,
    streams,
    onDemand,
    practitioners: staffed,
    directory: new Set(population.organisations.map((one) => one.creditCode)),
    showcase: showcaseOf(population),
    answerKey,
    expected: Object.fromEntries([...streams].map(([stream, rows]) => [stream, countsOf(rows.length, stream, answerKey)])),
  };
}

function goodRows(population: Population): Map<string, Row[]> {
  const cases = makeCases(population);
  return new Map([
    ['national-insurance/medical-institutions', medicalInstitutions(population)],
    ['national-insurance/pharmacies', pharmacies(population)],
    ['national-insurance/service-agreements', serviceAgreements(population)],
    ['national-insurance/credit-grades', creditGrades(population)],
    ['national-insurance/institution-lookup', institutionLookups(population)],
    ['national-insurance/practitioners', practitioners(population).map(({ institution, row }) => ({ ...row, [EMPLOYER]: institution }))],
    ['national-insurance/physicians', physicians(population)],
    ['national-insurance/pharmacists', pharmacists(population)],
    ['national-insurance/nurses', nurses(population)],
    ['national-insurance/technicians', technicians(population)],
    ['national-insurance/designations', designations(population)],
    ['national-insurance/designation-suspensions', designationSuspensions(population)],
    ['national-insurance/employers', employers(population)],
    ['national-insurance/employer-contributions', employerContributions(population)],
    ['national-insurance/insured-persons', insuredPersons(population)],
    ['national-insurance/insurance-relations', insuranceRelations(population)],
    ['national-insurance/resident-contributions', residentContributions(population)],
    ['national-insurance/benefit-suspensions', benefitSuspensions(population)],
    ['credit-china/penalties', penalties(population, cases)],
    ['credit-china/licences', licences(population)],
    ['hunan-credit/market-registrations', marketRegistrations(population)],
    ['hunan-credit/dishonest-judgment-debtors', judgmentDebtors(population)],
    ['hunan-credit/abnormal-operations', abnormalOperations(population)],
    ['hunan-credit/public-credit-evaluations', publicCreditEvaluations(population)],
    ['hunan-credit/credit-commitments', creditCommitments(population)],
    ['hunan-credit/violations', violations(population, cases)],
    ['hunan-credit/honours', honours(population)],
    ['hunan-credit/dishonesty-lists', dishonestyLists(population)],
    ['hunan-credit/other-information', otherInformation(population)],
  ]);
}

/** Good and dirty rows of a stream in the order in which its platform hands them out. */
function delivered(stream: string, good: readonly Row[], dirty: readonly DirtyRow[]): Row[] {
  const own = dirty.filter((one) => one.recipe.stream === stream);
  const rows = [...good, ...own.filter((one) => !one.last).map((one) => one.row)];
  const late = own.filter((one) => one.last).map((one) => one.row);
  if (stream.startsWith('hunan-credit/')) return numbered([...byTime(rows), ...late]);
  if (rows.some((row) => 'SJC' in row))
    return rows.toSorted((a, b) => (timeAndId(a) < timeAndId(b) ? -1 : timeAndId(a) > timeAndId(b) ? 1 : 0));
  return rows;
}

function timeAndId(row: Row): string {
  return `${row['SJC']} ${row['ID']}`;
}

function byInstitution(rows: readonly Row[]): { institution: string; row: Row }[] {
  return rows.map(({ [EMPLOYER]: institution, ...row }) => ({ institution: String(institution), row }));
}

/** The columns that name a row; of several lists the first that the row has. RID names the rows whose other numbers are a person's. */
const LABELS = [
  ['CF_WSH'],
  ['XK_WSH'],
  ['FIX_CNTR_ID'],
  ['MEDINS_CODE', 'EVAL_YEAR'],
  ['MEDINS_CODE', 'MEDINS_TYPE'],
  ['FIXMEDINS_CODE', 'BEGNTIME', 'FIXMEDINS_PAUS_TYPE'],
  ['EMP_CLCT_DETL_ID'],
  ['RSDT_CLCT_DETL_ID'],
  ['TRT_DCLA_DETL_SN'],
  ['RID'],
  ['ID'],
  ['XXBH'],
];

/** A practitioner of 5102 is named by the place in the institution's list, everything else by its key. */
function labelOf(one: DirtyRow, carried: ReadonlyMap<string, readonly Row[]>): string {
  const columns = LABELS.find((list) => list.every((column) => column in one.row));
  if (columns) return columns.map((column) => `${column}=${one.row[column]}`).join(',');
  const list = (carried.get(one.recipe.stream) ?? []).filter(
    (row) => row[EMPLOYER] === one.row[EMPLOYER] && row['prac_psn_type'] === one.row['prac_psn_type'],
  );
  return `institution=${one.row[EMPLOYER]},type=${one.row['prac_psn_type']},no=${list.indexOf(one.row) + 1}`;
}

function countsOf(total: number, stream: string, answerKey: readonly Planted[]): Counts {
  const own = answerKey.filter((one) => `${one.connector}/${one.stream}` === stream);
  const issues = own.filter((one) => one.outcome === 'issue').length;
  const unchanged = own.filter((one) => one.outcome === 'unchanged').length;
  return { in: total, stored: total - unchanged - issues, unchanged, issues };
}

function showcaseOf(population: Population): SandboxData['showcase'] {
  const first = population.institutions[0];
  const member = population.staff.find((one) => one.institution === first?.institutionCode)?.person;
  if (!first || !member?.practitionerCode) throw new RangeError('no institution with staff');
  return {
    creditCode: first.creditCode,
    name: first.name,
    institutionCode: first.institutionCode,
    employerNumber: first.employerNumber,
    practitionerCode: member.practitionerCode,
    practitionerName: member.name,
    practitionerIdNumber: member.idNumber,
  };
}
