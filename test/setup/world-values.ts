/** Arguments for the documents of the two worlds: values of both worlds, what earlier answers gave, and what nobody has. */
import type { FieldValue, Model } from '../../src/model/types.ts';
import type { Random } from '../../src/sandbox/random.ts';
import type { Keys } from '../../src/store/keys.ts';
import { concealCursor, concealId } from '../../src/store/opaque.ts';
import { dayOf, kindsOf, REGIONS } from '../fixtures/population.ts';
import type { Values } from './graph-documents.ts';
import { nobody, type Pool } from './two-worlds.ts';

/** Opaque texts of earlier answers: ids and cursors look alike, and each is tried as the other. */
export class Answers {
  readonly opaque: string[] = [];
  readonly cursors: string[] = [];
  learn(text: string): void {
    for (const [, one] of text.matchAll(/"endCursor":"([\w-]{22})"/g)) if (one !== undefined) this.cursors.push(one);
    for (const [, one] of text.matchAll(/"([\w-]{22})"/g)) if (one !== undefined && this.opaque.length < 5000) this.opaque.push(one);
  }
}

/** Values by where they stand. A scalar without a line here stops the test with its name. */
export function valuesOf(model: Model, random: Random, pool: Pool, answers: Answers, keys: Keys): Values {
  const texts = [...pool.fields.values()].flatMap((values) => [...values].filter((value) => typeof value === 'string'));
  const purposes = [...(model.codes.get('purposes')?.values.keys() ?? [])];
  const coordinates = [...model.subjects.values(), ...model.categories.values()].flatMap((t) =>
    [...t.fields.keys()].map((f) => `${t.type}.${f}`),
  );
  const names = [...pool.names];
  const codes = [...pool.codes];
  const kinds = kindsOf(model).map(({ kind }) => kind.id);
  const some = <T>(list: readonly T[], otherwise: T): T => (list.length === 0 ? otherwise : random.pick(list));
  /** Positions of common and of hidden rows, as a caller who sees more could hand them over. */
  const cursor = () => concealCursor(keys, dayOf(random), random.int(1, 4000));
  const opaque = () =>
    random.weighted([
      [() => some(answers.cursors, ''), 6],
      [() => some(answers.opaque, ''), 1],
      [cursor, 2],
      [() => concealId(keys, random.pick(['record', 'subject', 'submission']), random.int(1, 4000)), 2],
      [() => random.hex(22), 1],
    ])();
  const part = (text: string) => Array.from(text).slice(0, random.int(1, 3)).join('');
  /** The values of the catalog field that a condition stands for: `RegistrationWhere.nature`. */
  const ofField = (path: readonly string[]): FieldValue[] => {
    const owner = path.find((step) => /^\w+Where\.\w+$/.test(step) && pool.fields.has(step.replace('Where.', 'Record.')));
    return [...(pool.fields.get(owner?.replace('Where.', 'Record.') ?? '') ?? [])];
  };
  const BY_PLACE: Readonly<Record<string, () => string>> = {
    'Query.subject(code)': () => some(codes, '91430102MA4L0001X'),
    'RecordWhere.kind': () => random.pick(kinds),
    'RecordEntry.kind': () => random.pick(kinds),
    'SubjectWhereInput.name': () => (random.chance(0.8) ? part(some(names, '')) || '医' : nobody(random)),
    'Query.explain(coordinate)': () => random.pick(coordinates),
    'Query.explain(purpose)': () => random.pick(purposes),
    'Query.dictionary(type)': () => random.pick(['HOSP_LV', 'DIC_TYPE', 'NONE']),
    'Query.spotCheckSample(connector)': () => 'shenzhen-credit',
    'Query.issues(connector)': () => random.pick(['credit-china', 'hunan-credit']),
    'Query.issues(stream)': () => random.pick(['penalties', 'violations']),
    'Query.issues(rule)': () => random.pick(['bad-date', 'required']),
    'Query.issues(state)': () => random.pick(['open', 'fixed']),
    'Query.submissions(state)': () => random.pick(['entered', 'approved', 'rejected']),
    'RecordEntry.code': () => some(codes, ''),
    'RecordEntry.region': () => random.pick(REGIONS),
    'RecordEntry.route': () => random.pick(['supervision', 'none']),
    'FieldEntry.name': () => random.pick(['honourName', 'authority', 'authorityLevel', 'awardedOn', 'nothing']),
  };
  const text = (place: string, path: readonly string[]): string => {
    const own = BY_PLACE[place];
    if (own) return own();
    if (place.endsWith('(after)')) return opaque();
    if (place.endsWith('.region')) return random.pick([...REGIONS, '4301', '43', '41', '']);
    const told = ofField(path).filter((value) => typeof value === 'string');
    const value = random.chance(0.85) ? some(told, some(texts, '')) : some(texts, '');
    return place.endsWith('.contains') ? part(value) || '医' : value;
  };
  return (scalar, place, path) => {
    switch (scalar) {
      case 'String':
        return text(place, path);
      case 'ID':
        return random.chance(0.5) ? some(answers.opaque, '') : random.chance(0.5) ? opaque() : String(random.int(0, 30));
      case 'Int':
        if (place.endsWith('(size)')) return 50;
        return random.chance(0.02)
          ? random.pick([0, 201, -1])
          : random.weighted([
              [random.int(1, 4), 8],
              [random.int(5, 40), 1],
            ]);
      case 'Float':
        return random.next();
      case 'Boolean':
        return random.chance(0.6);
      case 'Day':
        return random.chance(0.7) ? dayOf(random) : `2026-0${random.int(2, 9)}-0${random.int(1, 9)}`;
      case 'Fen':
        return some(
          ofField(path).filter((value) => typeof value === 'number'),
          random.int(0, 100_000),
        );
      default:
        throw new Error(`the documents of the two worlds have no values for the scalar ${scalar} (${place}): add them to world-values.ts`);
    }
  };
}
