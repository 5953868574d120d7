import type { Cited, Clock, Evaluation, Interval, Measure, Pack } from './pack-types.ts';
import type { Model } from './types.ts';

/** `schema/jurisdictions/*.yml` as it is written, valid by its JSON Schema and with the defaults of that: ranges are text, points have decimals. */
export type PackYaml = Omit<Pack, 'id' | 'clocks' | 'evaluation' | 'measures' | 'suspensions'> & {
  pack: string;
  clocks: Record<string, Omit<Clock, 'id' | 'rollsForward'> & { rollsForward?: boolean }>;
  evaluation?: Omit<Evaluation, 'grades'> & { grades: { code: string; scores?: string }[] };
  measures: (Omit<Measure, 'term'> & { months?: string })[];
  suspensions: (Cited & { loss: string; months: string })[];
};

type Say = (path: string, reason: string) => void;

/** `[3,6)` as a range. Throws SyntaxError for what is none. */
export function toInterval(text: string): Interval {
  const found = /^([[(])(-?\d+(?:\.\d+)?)?,(-?\d+(?:\.\d+)?)?([\])])$/.exec(text);
  if (found === null) throw new SyntaxError(`${text} is no interval`);
  const [, open, from, to, close] = found;
  return {
    from: from === undefined ? undefined : Number(from),
    fromIncluded: open === '[',
    to: to === undefined ? undefined : Number(to),
    toIncluded: close === ']',
    text,
  };
}

/** Hundredths of a unit: points and money are counted in whole numbers. */
const hundredths = (value: number): number => Math.round(value * 100);

/** The same range in hundredths: yuan to fen. */
function inHundredths(interval: Interval): Interval {
  const of = (edge: number | undefined) => (edge === undefined ? undefined : hundredths(edge));
  return { ...interval, from: of(interval.from), to: of(interval.to) };
}

export function toPack(yaml: PackYaml): Pack {
  const { pack: id, clocks, evaluation, measures, suspensions, ...rest } = yaml;
  return {
    ...rest,
    id,
    clocks: new Map(Object.entries(clocks).map(([name, clock]) => [name, { rollsForward: clock.unit === 'day', ...clock, id: name }])),
    evaluation: evaluation && toEvaluation(evaluation),
    measures: measures.map(({ months, ...measure }) => ({ ...measure, term: months === undefined ? undefined : toInterval(months) })),
    suspensions: suspensions.map((one) => ({ ...one, loss: inHundredths(toInterval(one.loss)), months: toInterval(one.months) })),
  };
}

function toEvaluation(yaml: NonNullable<PackYaml['evaluation']>): Evaluation {
  const { modules, grades, indicators, sharedEdges } = yaml;
  const points = <T extends { most: number }>(one: T): T => ({ ...one, most: hundredths(one.most) });
  return {
    ...yaml,
    modules: modules && { bonus: points(modules.bonus), deduction: points(modules.deduction) },
    grades: grades.map(({ code, scores }) => ({ code, scores: scores === undefined ? undefined : inHundredths(toInterval(scores)) })),
    sharedEdges: sharedEdges.map(hundredths),
    indicators: indicators.map((one) => points({ ...one, each: hundredths(one.each) })),
  };
}

/** Faults that no JSON Schema can hold: references that lead nowhere, grades with gaps between them, dates that run backwards. */
export function checkPack(pack: Pack, model: Model, say: Say): void {
  const known = (codes: string, code: string, path: string) => {
    if (!model.codes.get(codes)?.values.has(code)) say(path, `${code} is no code of ${codes}`);
  };
  const clock = (id: string | undefined, path: string) => {
    if (id !== undefined && !pack.clocks.has(id)) say(path, `${id} is no clock of this pack`);
  };
  if (pack.from !== undefined && pack.to !== undefined && pack.to < pack.from) say('/to', 'is before from');
  for (const { roles, code } of pack.subjects) for (const role of roles) known('subject-roles', role, `/subjects/${code}`);
  for (const { code, roles, grades } of pack.measures) {
    for (const role of roles) known('subject-roles', role, `/measures/${code}`);
    for (const grade of grades) known('grades', grade, `/measures/${code}`);
  }
  for (const { grade } of pack.ratios) known('grades', grade, '/ratios');
  for (const { kind, code, names, published, objection } of pack.lists) {
    known('list-kinds', kind, `/lists/${code}`);
    for (const name of names) known('relation-kinds', name, `/lists/${code}`);
    clock(published, `/lists/${code}`);
    clock(objection, `/lists/${code}`);
  }
  for (const ban of pack.bans) {
    clock(ban.clock, '/bans');
    for (const relation of ban.relations) known('relation-kinds', relation, '/bans');
  }
  for (const streak of pack.streaks) {
    if (streak.list !== undefined && !pack.lists.some(({ code }) => code === streak.list))
      say(`/streaks/${streak.code}`, `${streak.list} is no list of this pack`);
    if (streak.measure !== undefined && !pack.measures.some(({ code }) => code === streak.measure))
      say(`/streaks/${streak.code}`, `${streak.measure} is no measure of this pack`);
    if ((streak.of === 'grade') !== (streak.grade !== undefined))
      say(`/streaks/${streak.code}`, 'a streak of a grade names it, and no other does');
    if (streak.grade !== undefined) known('grades', streak.grade, `/streaks/${streak.code}`);
  }
  for (const id of [pack.objection?.raise, pack.objection?.answer, pack.objection?.answerWithHelp]) clock(id, '/objection');
  clock(pack.repair?.answer, '/repair');
  clock(pack.reports?.validity, '/reports');
  for (const { level } of pack.issuers) known('honour-levels', level, '/issuers');
  checkEvaluation(pack, model, known, say);
  checkTiled(
    pack.suspensions.map(({ loss }) => loss),
    '/suspensions',
    say,
  );
}

function checkEvaluation({ evaluation }: Pack, model: Model, known: (codes: string, code: string, path: string) => void, say: Say): void {
  if (evaluation === undefined) return;
  known('grade-schemes', evaluation.scheme, '/evaluation/scheme');
  for (const { code } of evaluation.grades) known('grades', code, '/evaluation/grades');
  for (const { reason } of evaluation.exempt) known('not-evaluated-reasons', reason, '/evaluation/exempt');
  for (const { code, facts } of evaluation.indicators) {
    const category = model.categories.get(facts.category);
    for (const kind of facts.kinds)
      if (!category?.kinds.has(kind)) say(`/evaluation/indicators/${code}`, `category ${facts.category} has no kind ${kind}`);
    for (const field of Object.keys(facts.where))
      if (!category?.fields.has(field)) say(`/evaluation/indicators/${code}`, `category ${facts.category} has no field ${field}`);
  }
  if (evaluation.computed === 'received') return;
  if (evaluation.modules === undefined) say('/evaluation', 'is computed here and has no modules');
  const scores = evaluation.grades.flatMap((grade) => grade.scores ?? []);
  if (scores.length !== evaluation.grades.length) say('/evaluation/grades', 'a grade that is computed here has its scores');
  checkTiled(scores.toReversed(), '/evaluation/grades', say);
}

/** Ranges in rising order that belong together: where one ends the next begins, and the edge is in exactly one of them. */
function checkTiled(ranges: readonly Interval[], path: string, say: Say): void {
  for (const [i, range] of ranges.entries()) {
    if (range.from !== undefined && range.to !== undefined && range.to < range.from) say(path, `${range.text} runs backwards`);
    const next = ranges[i + 1];
    if (next !== undefined && (range.to !== next.from || range.toIncluded === next.fromIncluded))
      say(path, `${range.text} and ${next.text} overlap or leave a gap`);
  }
}
