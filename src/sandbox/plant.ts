import { EXCHANGE_RECIPES } from './dirt-exchange.ts';
import { RECIPES, VERDICTS, type Dirt, type Outcome, type Recipe } from './dirt.ts';
import { makeOrganisation } from './organisations.ts';
import { makePerson } from './persons.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { medicalInstitution, practitioner } from './rows-insurance.ts';
import { addMinutes } from './times.ts';

/** Where a practitioner works, carried along while rows are made; no platform ever sends it. */
export const EMPLOYER = '@institution';

export interface Planted {
  connector: string;
  stream: string;
  /** Human label of the raw row, `COLUMN=value`; never personal data. */
  key: string;
  dirt: Dirt;
  rule: string | null;
  outcome: Outcome;
}

/** A dirty copy, and whether it belongs after everything else of its stream. */
export interface DirtyRow {
  recipe: Recipe;
  row: Row;
  last: boolean;
}

const FIRST_SERIAL = 90_001;

/**
 * Dirty rows are added, good rows stay as they are. Copies of institutions and practitioners are made of nobody else's codes, so that nothing
 * hangs on a row that is refused.
 */
export function dirtyRows(population: Population, streams: ReadonlyMap<string, readonly Row[]>): DirtyRow[] {
  const random = randomOf(population.seed, 'dirt');
  const used = new Set<Row>();
  return [...RECIPES, ...EXCHANGE_RECIPES].map((recipe, i) => {
    const { dirt, fits = () => true } = recipe;
    const rows = streams.get(recipe.stream) ?? [];
    const sameKey = dirt === 'duplicate' || dirt === 'late';
    const good = (sameKey ? singles(rows) : rows).filter((row) => !used.has(row) && fits(row));
    if (good.length === 0)
      throw new RangeError(`too few rows in ${recipe.stream} to plant ${dirt}: ask for more organisations and persons`);
    const victim = random.pick(good);
    used.add(victim);
    const copy = sameKey ? victim : fresh(random, population, recipe, victim, FIRST_SERIAL + i);
    const written: Row = dirt === 'late' ? { XRSJ: addMinutes(population.now, (i % 20) - 30) } : {};
    return { recipe, row: { ...copy, ...recipe.spoil(copy), ...written }, last: dirt === 'late' };
  });
}

/** Rows that have no other version, so that an older one is old for certain. Only front databases hand out several. */
function singles(rows: readonly Row[]): Row[] {
  return [...Map.groupBy(rows, (row) => row['XXBH'] ?? row).values()].flatMap((versions) => (versions.length === 1 ? versions : []));
}

/** A good row like `row` under a key that no other row has. */
function fresh(random: Random, population: Population, recipe: Recipe, row: Row, serial: number): Row {
  switch (recipe.stream) {
    case 'credit-china/penalties':
      return { ...row, ID: random.hex(32), CF_WSH: `湘演罚〔${population.year - 1}〕${serial}号` };
    case 'credit-china/licences':
      return { ...row, ID: random.hex(32), XK_WSH: `湘演许〔${population.year - 1}〕${serial}号`, XK_XKBH: `XK${serial}` };
    case 'national-insurance/medical-institutions':
      return {
        ...medicalInstitution(random, population, makeOrganisation(random, serial, 'medical', population.persons)),
        CRED_LV: null,
        CRED_LV_NAME: null,
      };
    case 'national-insurance/practitioners':
      return { ...practitioner(random, population, anotherPractitioner(random, serial)), [EMPLOYER]: row[EMPLOYER] ?? null };
    case 'national-insurance/service-agreements':
      return { ...row, FIX_CNTR_ID: `BC${serial}${row['FIXMEDINS_CODE']}`, RID: random.hex(32) };
    case 'national-insurance/credit-grades':
      return { ...row, EVAL_YEAR: String(population.year - 3), RID: random.hex(32) };
    default:
      if ('RID' in row) return { ...row, RID: random.hex(32), ...detailNumberOf(row, serial) };
      return {
        ...row,
        ...('ID' in row ? { ID: random.hex(32) } : {}),
        ...('XXBH' in row ? { XXBH: random.guid() } : {}),
        ...numbersOf(row, serial),
      };
  }
}

/** A citizen whose number ends in X: the one ending in which case makes a difference. */
function anotherPractitioner(random: Random, serial: number): ReturnType<typeof makePerson> {
  for (;;) {
    const person = makePerson(random, serial, 'practitioner');
    if (person.certificateType === '01' && person.idNumber.endsWith('X')) return person;
  }
}

/** Document numbers of a row, changed so that the copy tells a fact of its own (and in the set of 2014, has a key of its own). */
function numbersOf(row: Row, serial: number): Row {
  const columns = ['AH', 'CLJD', 'WSH', 'CF_WSH', 'XK_WSH', 'CFWSH', 'XKZH', 'DJH', 'DWBH', 'BGBH', 'XSBH', 'IDENTIFICATION_NO'].filter(
    (column) => column in row,
  );
  return Object.fromEntries(columns.map((column) => [column, `湘演补〔${serial}〕1号`]));
}

/** The number that is the key of a table of the return flow, where it is not RID. */
function detailNumberOf(row: Row, serial: number): Row {
  const column = ['EMP_CLCT_DETL_ID', 'RSDT_CLCT_DETL_ID', 'TRT_DCLA_DETL_SN', 'PSN_INSU_RLTS_ID'].find((key) => key in row);
  return column === undefined ? {} : { [column]: `BC${serial}` };
}

export function planted(recipe: Recipe, key: string): Planted {
  const [connector = '', stream = ''] = recipe.stream.split('/');
  return { connector, stream, key, dirt: recipe.dirt, ...VERDICTS[recipe.dirt] };
}
