/** Leak catalogue (reliability §5) L1–L9, L26: conditions, order, counts and searches tell nothing of what the caller may not see. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getNamedType, type GraphQLSchema, isInputObjectType, isObjectType } from 'graphql';
import { usableBy } from '../src/access/usable.ts';
import type { Category, Field } from '../src/model/types.ts';
import { whereName } from '../src/resolvers/inputs.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import { inputName } from '../src/resolvers/types.ts';
import { DOCTOR, HOSPITAL } from './fixtures/credit-records.ts';
import { type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { bare, BUREAU, CALLERS, membersOf, TAX } from './setup/leaks.ts';

let hub: TestHub;
let schema: GraphQLSchema;
beforeAll(async () => {
  hub = await openHub();
  schema = buildGraph(hub.model);
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;

function conditionOn(field: Field, value: string): string {
  if (field.type === 'date' || field.type === 'instant') return '{ from: "2026-03-01" }';
  return field.type === 'money' || field.type === 'integer' ? '{ from: 1 }' : `{ eq: ${JSON.stringify(value)} }`;
}
const where = (category: Category, field: Field, value: string): string =>
  `{ ${inputName(category)}: { ${field.name}: ${conditionOn(field, value)} } }`;

/** Every condition of the graph that a caller may not set. */
function hiddenConditions({
  department,
  purpose,
}: Asking & { department: string; purpose: string }): { category: Category; field: Field }[] {
  const caller = { id: '', name: '', department, role: 'officer', region: '430000', actingFor: '', purposes: undefined };
  const { filtered } = usableBy(hub.model, caller, purpose, TODAY);
  return [...hub.model.categories.values()].flatMap((category) => {
    const type = schema.getType(whereName(category));
    const names = isInputObjectType(type) ? Object.keys(type.getFields()) : [];
    const fields = [...category.fields.values()].filter((field) => names.includes(field.name));
    return fields.filter((field) => !filtered.has(`${category.type}.${field.name}`)).map((field) => ({ category, field }));
  });
}

describe('a condition on a hidden field', () => {
  it('L1 is refused for every caller and every field that is hidden from it, whatever the value', async () => {
    let refused = 0;
    for (const asking of CALLERS) {
      for (const { category, field } of hiddenConditions(asking)) {
        const answer = await hub.ask(`{ records(where: ${where(category, field, '310')}) { nodes { id } } }`, asking);
        expect([asking, field.name, answer.status, answer.codes, answer.data]).toEqual([
          asking,
          field.name,
          403,
          ['FILTER_DENIED'],
          undefined,
        ]);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(200);
  });

  it('L1 is refused alike for a value that some row has and for one that none has', async () => {
    const ask = async (value: string) =>
      bare(await hub.ask(`{ records(where: { registration: { insuranceType: { eq: "${value}" } } }) { nodes { id } } }`, TAX));
    expect(await ask('310')).toBe(await ask('399'));
  });

  it('L2 is refused at every hop, from a list, from a subject, from its relations and from a record back to its subject', async () => {
    const hidden = 'records(where: { registration: { employerNumber: { eq: "x" } } }) { nodes { id } }';
    for (const path of [
      hidden,
      `subject(code: "${CODE}") { ${hidden} }`,
      `subjects { nodes { ${hidden} } }`,
      `subjects { nodes { relations { subject { ${hidden} } } } }`,
      `records { nodes { subject { ${hidden} } } }`,
      `records { nodes { sameFact { subject { ${hidden} } } } }`,
    ]) {
      const answer = await hub.ask(`{ ${path} }`, TAX);
      expect([path, answer.codes, answer.data]).toEqual([path, ['FILTER_DENIED'], undefined]);
    }
  });

  it('L3 is refused inside empty lists, beside open ones, in variables and their defaults; there is no NOT, OR or AND to hide it in', async () => {
    const logical = membersOf(schema).filter((member) => /\.(_?not|_?or|_?and|some|none|every)$/i.test(member));
    expect(logical).toEqual([]);
    const ask = async (query: string, variables: Record<string, unknown> = {}) => (await hub.ask(query, { ...TAX, variables })).codes;
    expect(await ask('{ records(where: { registration: { insuranceType: { in: [] } } }) { nodes { id } } }')).toEqual(['FILTER_DENIED']);
    expect(
      await ask(
        '{ records(where: { kind: "penalty", registration: { nature: { eq: "x" }, insuranceType: { eq: "310" } } }) { nodes { id } } }',
      ),
    ).toEqual(['FILTER_DENIED']);
    const inside = 'query ($w: RecordWhere) { records(where: $w) { nodes { id } } }';
    expect(await ask(inside, { w: { registration: { insuranceType: { eq: '310' } } } })).toEqual(['FILTER_DENIED']);
    const byDefault = 'query ($c: CodeWhere = { eq: "310" }) { records(where: { registration: { insuranceType: $c } }) { nodes { id } } }';
    expect(await ask(byDefault)).toEqual(['FILTER_DENIED']);
  });

  it('L26 is refused for a search in texts and names as well, and there are no hits, ranks or snippets', async () => {
    const ask = async (query: string) => (await hub.ask(query, TAX)).codes;
    expect(await ask('{ subjects(where: { kind: PERSON, name: "周" }) { nodes { id } } }')).toEqual(['FILTER_DENIED']);
    expect(await ask('{ records(where: { registration: { employerNumber: { contains: "E" } } }) { nodes { id } } }')).toEqual([
      'FILTER_DENIED',
    ]);
    expect(
      membersOf(schema).filter(
        (member) => /highlight|snippet|score$|rank$|relevance/i.test(member) && !/Record(Where)?\.|EvaluationWhere\./.test(member),
      ),
    ).toEqual([]);
  });

  it('L1 a code finds nobody for a caller to whom the field that shows it is hidden', async () => {
    const [statutory, platform] = HOSPITAL.identifiers;
    const ask = async (code: string, asking: Asking) => (await hub.ask(`{ subject(code: "${code}") { id } }`, asking)).codes;
    expect(await ask(statutory.code, TAX)).toEqual([]);
    expect(await ask(platform?.code ?? '', TAX)).toEqual(['SUBJECT_NOT_FOUND']);
    expect(await ask(platform?.code ?? '', BUREAU)).toEqual([]);
  });
});

describe('the order of a list', () => {
  it('L4 cannot be asked for: there is no argument for it anywhere', () => {
    const sorting = Object.values(schema.getTypeMap()).flatMap((type) =>
      isObjectType(type)
        ? Object.values(type.getFields()).flatMap((field) =>
            field.args.filter(({ name }) => /order|sort|rank/i.test(name)).map(({ name }) => `${type.name}.${field.name}(${name})`),
          )
        : [],
    );
    expect(sorting).toEqual([]);
  });

  it('L5 does not move when hidden fields change, not even among records of one day', async () => {
    const ids = async () => (await hub.ask('{ records(first: 200) { nodes { id } } }', TAX)).text.replace(/"log":\{[^}]*\}/, '');
    await hub.pool.query(`update record set ordered_on = '2026-03-05', occurred_on = '2026-03-05' where category = 3`);
    const before = await ids();
    await hub.pool.query(`update record set internal = jsonb_build_object('facts', reverse(id::text)), personal = null where category = 3`);
    expect(await ids()).toBe(before);
  });
});

describe('a number over several rows', () => {
  /** Numbers that are not the value of one row, reviewed: whose rows they count, and who is told. */
  const COUNTS = new Map([
    ['CategoryArchive.count', 'records of one subject that the caller may list'],
    ['SourceQuality.read', 'duty handle-issues: deliveries of a source, no condition can be set'],
    ['SourceQuality.openIssues', 'the same'],
    ['SourceQuality.completeness', 'the same'],
    ['SourceQuality.accuracy', 'the same'],
    ['SourceQuality.hoursToArrive', 'the same'],
    ['SourceQuality.truth', 'the same'],
    ['SourceQuality.spotChecks', 'the same'],
    ['ReconciliationType.ours', 'duties handle-issues and operate-system: a whole stream, no condition on rows can be set'],
    ['ReconciliationType.theirs', 'the same'],
    ['ReconciliationType.differences', 'the same'],
    ['ReconciliationType.corrected', 'the same'],
    ['ReconciliationCellType.category', 'the same: the number of a category'],
    ['ReconciliationCellType.ours', 'the same: a day of a stream'],
    ['ReconciliationCellType.theirs', 'the same'],
    ['ReconciliationCellType.accounted', 'the same'],
    ['ReconciliationCellType.differences', 'the same'],
    ['ReconciliationDifferenceType.category', 'duty handle-issues: the number of a category'],
    ['Objection.category', 'duty handle-objections: the number of a category'],
    ['Recall.category', 'duties propose-recalls and review-recalls: the number of a category'],
    ['RecallNotice.category', 'duty answer-recalls: the number of a category that the office was shown'],
    ['Platform.failures', 'duty operate-system: calls to a platform, no condition on rows can be set'],
    ['PlatformBudget.used', 'the same'],
    ['PlatformBudget.limit', 'the same: a number of the model'],
    ['PlatformStream.waiting', 'the same: rows of the outbox of a whole stream'],
    ['PlatformStream.deadLetters', 'the same'],
    ['DeadLetterType.attempts', 'duties handle-issues and operate-system: one row of the outbox'],
    ['PublicationDeadline.outbox', 'the same'],
    ['PublicationDeadline.daysLeft', 'the same'],
    ['MergeType.records', 'duty handle-issues: what one merger moved'],
    ['MergeType.identifiers', 'the same'],
    ['IssueType.seen', 'duty handle-issues: how often one raw record came'],
    ['ConsentType.categories', 'one consent, told to who gave it or entered it'],
    ['ConsentType.uses', 'the same'],
    ['CaseType.subjects', 'duty register-cases: one case'],
    ['QueryLogEntry.categories', 'duty read-log: one entry'],
    ['QueryLogEntry.subjects', 'the same'],
    ['QueryLogEntry.rows', 'the same'],
    ['QueryLogEntry.durationMs', 'the same'],
    ['LogExport.rows', 'duty read-log: one export'],
    ['ExportedLog.rows', 'the same'],
    ['LogAlarm.count', 'duty read-log: one alarm'],
    ['LogAlarm.threshold', 'the same'],
    ['Look.categories', 'one look at the caller itself'],
    ['Statistics.fewest', 'a constant: cells of fewer subjects are hidden'],
    ['StatisticsCell.records', 'of five subjects at least, or hidden; a rule for statistics'],
    ['StatisticsCell.subjects', 'the same'],
    ['RecordChange.version', 'one record: changes that the caller may see (L36)'],
    ['WebhookType.keyVersion', 'duty operate-system: one webhook'],
    ['WebhookType.number', 'the same: deliveries, which are only of what the department may see'],
    ['WebhookType.attempts', 'the same: of one delivery'],
    ['Minimisation.days', 'the period that was asked for'],
  ]);

  it('L6 L7 is none beside the statistics, and each that there is was reviewed: there is no other aggregate, and none is of a field that is hidden', () => {
    expect(membersOf(schema).filter((member) => /\.(avg|sum|min|max|groupBy|aggregate|distinct)([A-Z]|$)/.test(member))).toEqual([]);
    const catalog = new Set([...hub.model.categories.values(), ...hub.model.subjects.values()].map((type) => type.type));
    const numbers = Object.values(schema.getTypeMap()).flatMap((type) =>
      isObjectType(type) && !type.name.startsWith('__') && !catalog.has(type.name)
        ? Object.values(type.getFields())
            .filter((field) => ['Int', 'Float'].includes(getNamedType(field.type).name))
            .map((field) => `${type.name}.${field.name}`)
        : [],
    );
    const ofOne = ['CategoryArchive.no', 'CatalogCategoryType.no'];
    expect(
      numbers.filter((number) => !ofOne.includes(number) && !/^Simulat|^Unread/.test(number)).filter((number) => !COUNTS.has(number)),
    ).toEqual([]);
  });

  it('L8 L16 counts what the caller may list one by one, and nothing else', async () => {
    for (const asking of CALLERS) {
      const { data } = await hub.ask(
        `{ subjects(first: 5) { nodes { archive { no count records(first: 100) { nodes { id } } } } } }`,
        asking,
      );
      for (const { archive } of data.subjects.nodes) for (const { count, records } of archive) expect(count).toBe(records.nodes.length);
    }
  });

  it('L9 differs between two questions by rows that the caller is shown, so that no difference tells of another', async () => {
    const count = async (asOf: string) =>
      (
        await hub.ask(
          `{ subject(code: "${CODE}") { archive(categories: [ADMINISTRATION], asOf: { day: "${asOf}" }) { count records(first: 100) { nodes { id } } } } }`,
          TAX,
        )
      ).data.subject.archive[0];
    const [early, late] = [await count('2026-03-04'), await count('2026-11-01')];
    const shown = (archive: typeof early) => new Set<string>(archive.records.nodes.map((node: { id: string }) => node.id));
    expect(shown(late).difference(shown(early)).size).toBe(late.count - early.count);
  });

  it('L16 the end of a list is the end of what the caller may see', async () => {
    const { data } = await hub.ask('{ records(first: 200) { nodes { id } pageInfo { hasNextPage } } }', { ...TAX, region: '430103' });
    const visible = data.records.nodes.length as number;
    expect([visible > 0, data.records.pageInfo.hasNextPage]).toEqual([true, false]);
    const exact = await hub.ask(`{ records(first: ${visible}) { pageInfo { hasNextPage } } }`, { ...TAX, region: '430103' });
    expect(exact.data.records.pageInfo.hasNextPage).toBe(false);
    const { rows } = await hub.pool.query<{ all: number }>('select count(*)::int as all from record');
    expect(rows[0]?.all).toBeGreaterThan(visible + 5);
  });
});

it('L22 a person that is hidden and one that does not exist are answered alike', async () => {
  const ask = async (code: string) => bare(await hub.ask(`{ subject(code: "${code}") { id name archive { count } } }`, TAX));
  expect(await ask(DOCTOR.identifiers[0].code)).toBe(await ask('11010519491231002X'));
});
