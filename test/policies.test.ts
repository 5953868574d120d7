/** What every department may see, for every purpose, as reviewed snapshots; and what a model of policies is refused for. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Caller } from '../src/access/caller.ts';
import { explain } from '../src/access/decide.ts';
import { scopesOf } from '../src/access/scope.ts';
import { BadModel, type ModelFault } from '../src/errors.ts';
import { needsOfPurpose } from '../src/model/check-policies.ts';
import { loadModel } from '../src/model/load.ts';
import { coordinatesOf } from './fixtures/whole-graph.ts';

const SCHEMA = new URL('../schema/', import.meta.url).pathname;
const model = loadModel(SCHEMA);
const TODAY = '2026-11-23';
const codesOf = (set: string): string[] => [...(model.codes.get(set)?.values.keys() ?? [])];

/** A caller that has all a rule may ask of it, so that the snapshot shows what the policy can give at most. */
function callerOf(department: string, role: string): Caller {
  return {
    id: 'x',
    name: '陈静',
    department,
    role,
    region: '430102',
    actingFor: '',
    purposes: undefined,
    subject: { scheme: 'uscc', code: '…' },
  };
}

/** The rows of each rule in words, and type → what is given of its fields by which rule. Undefined when no rule matches. */
function policyOf(department: string, role: string, purpose: string): Record<string, unknown> | undefined {
  const caller = callerOf(department, role);
  const stated = { code: purpose, basis: 'B', case: 'C' };
  const of = (use: 'reading' | 'statistics') => scopesOf(model, { caller, purpose: stated, today: TODAY }, use);
  const matched = [...of('reading'), ...of('statistics')];
  if (matched.length === 0) return undefined;
  const rows = matched.map(({ rule }) => {
    const { region, publicity, subject } = rule.rows;
    const parts = [rule.subjects.join('+'), ...rule.subjectRoles, `categories ${rule.categories.join(',')}`, ...rule.kinds];
    const conditions = [region, publicity, subject].filter((one) => one !== 'any');
    return `${rule.id} (${rule.article}): ${[...parts, ...conditions, ...(rule.use === 'statistics' ? ['statistics'] : [])].join('; ')}`;
  });
  const fields: Record<string, string> = {};
  for (const coordinate of coordinatesOf(model)) {
    const { access, rule, partly } = explain(model, caller, stated, coordinate, TODAY);
    const [type = '', name = ''] = coordinate.split('.');
    const key = [type, access, rule === null ? '' : `by ${rule}`, partly ? `in part masked by ${partly.rule}` : '']
      .filter(Boolean)
      .join(' ');
    fields[key] = `${fields[key] ?? ''} ${name}`.trim();
  }
  return { rows, fields };
}

describe('the policies, reviewed like code', () => {
  it.each(codesOf('departments'))('U2 %s: every field, for every role and purpose that has any', (department) => {
    const roles = codesOf('roles');
    const asked = codesOf('purposes').flatMap((purpose) => {
      const policies = roles.map((role) => ({ role, text: JSON.stringify(policyOf(department, role, purpose)) as string | undefined }));
      const same = Map.groupBy(
        policies.filter((one) => one.text !== undefined),
        (one) => one.text,
      );
      return [...same].map(([text, of]) => ({
        purpose,
        text,
        roles: of.length === roles.length ? 'any role' : of.map((one) => one.role).join(', '),
      }));
    });
    const matrix = [...Map.groupBy(asked, (one) => `${one.roles} ${one.text}`).values()].map((same) => ({
      roles: same[0]?.roles,
      purposes: same.map((one) => one.purpose).join(', '),
      ...(JSON.parse(same[0]?.text ?? '{}') as object),
    }));
    const duties = model.duties
      .filter((duty) => duty.departments.includes(department))
      .map(({ duty, roles: by, article }) => `${duty} (${article}): ${by.join(', ')}`);
    expect({ duties, matrix }).toMatchSnapshot();
  });

  it('ZM-3.2.2 HN-29 knows the five and the nine kinds of work, each with its article, and what must be stated with them', () => {
    const purposes = [...(model.codes.get('purposes')?.values.values() ?? [])];
    const by = (article: string) => purposes.filter((one) => one.extra['article'] === article).map((one) => one.zh);
    expect(by('ZM-3.2.2')).toEqual(['行政许可', '行政检查', '公共资源交易', '财政资金支持', '社会保障']);
    // 行政检查 is the ninth, and stands above.
    expect(by('HN-29')).toHaveLength(8);
    expect(
      Object.fromEntries(purposes.map(({ code }) => [code, needsOfPurpose(model, code)]).filter(([, needs]) => needs?.length)),
    ).toEqual({
      'administrative-inspection': ['case'],
      'self-query': ['identity'],
      'objection-handling': ['case'],
      'credit-repair': ['case'],
      'case-investigation': ['case', 'basis'],
      'judicial-enforcement': ['case', 'basis'],
    });
  });

  it('HN-5 opens the number of a person to no department, role or purpose', () => {
    const identity = coordinatesOf(model).filter((coordinate) => {
      const [type, name] = coordinate.split('.');
      const owner = [...model.subjects.values(), ...model.categories.values()].find((one) => one.type === type);
      return owner?.fields.get(name ?? '')?.sensitivity === 'identity';
    });
    expect(identity.length).toBeGreaterThan(3);
    for (const department of codesOf('departments'))
      for (const role of codesOf('roles'))
        for (const code of new Set(model.rules.filter((one) => one.departments.includes(department)).flatMap((one) => one.purposes)))
          for (const coordinate of identity)
            expect(explain(model, callerOf(department, role), { code, basis: 'B', case: 'C' }, coordinate, TODAY).access).not.toBe('allow');
  });
});

describe('a model of policies', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'credit-hub-policies-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The faults of a copy of `schema/` with one text replaced. */
  function faultsWith(file: string, from: string, to: string): readonly ModelFault[] {
    const root = mkdtempSync(join(folder, 'schema-'));
    cpSync(SCHEMA, root, { recursive: true });
    const text = readFileSync(join(root, file), 'utf8');
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    writeFileSync(join(root, file), text.replace(from, to));
    try {
      loadModel(root);
      return [];
    } catch (error) {
      if (error instanceof BadModel) return error.faults;
      throw error;
    }
  }

  const cases: [string, string, string, string, string, RegExp][] = [
    [
      'joins two of the three administrations in one role',
      'policies/auditor.yml',
      'article: HN-23.2 }',
      'article: HN-23.2 }\n  - { duty: review-policy, roles: [auditor], article: HN-5 }',
      '/duties',
      /^auditor of auditor joins the audit and the security administration$/,
    ],
    [
      'joins them across files',
      'policies/restrictions.yml',
      'rules: []',
      'rules: []\nduties:\n  - { duty: operate-system, roles: [auditor], article: HN-36 }',
      '/duties',
      /^auditor of auditor joins the audit and the system administration$/,
    ],
    [
      'gives an administrator another duty',
      'policies/security.yml',
      'article: HN-5 }',
      'article: HN-5 }\n  - { duty: enter-records, roles: [security-administrator], article: HN-6.2 }',
      '/duties',
      /^security-administrator of security administers and has the duty enter-records$/,
    ],
    [
      'gives an administrator credit information',
      'policies/big-data.yml',
      'departments: [big-data]',
      'departments: [big-data, operations]',
      '/duties',
      /^system-administrator of operations administers and is given credit information by big-data\/statistics$/,
    ],
    [
      'names a role that is in no code set',
      'policies/court.yml',
      'roles: [judge]',
      'roles: [king]',
      '/rules',
      /role king is not in codes\/roles$/,
    ],
    [
      'names a role for a duty that is in no code set',
      'policies/auditor.yml',
      'roles: [auditor]',
      'roles: [king]',
      '/duties',
      /role king is not in codes\/roles$/,
    ],
    [
      'opens a case without a purpose that needs one',
      'policies/court.yml',
      'judicial-enforcement',
      'bidding',
      '/rules',
      /subject own-case needs a purpose that needs case, as bidding does not$/,
    ],
    [
      'opens the own file without a proof of identity',
      'codes/purposes.yml',
      'article: HN-23.1, needs: [identity] }',
      'article: HN-23.1 }',
      '/rules',
      /subject self needs a purpose that needs identity, as self-query does not$/,
    ],
    [
      'has an unknown need of a purpose',
      'codes/purposes.yml',
      'needs: [case, basis] }',
      'needs: [money] }',
      '/values/case-investigation/needs',
      /case, basis/,
    ],
    [
      'names a role of organisations for persons',
      'policies/drug-administration.yml',
      'subjectRoles: [pharmacy-staff]',
      'subjectRoles: [insured-employer]',
      '/rules',
      /insured-employer is no role of its subjects$/,
    ],
    [
      'names an unknown role of subjects',
      'policies/drug-administration.yml',
      'subjectRoles: [pharmacy-staff]',
      'subjectRoles: [wizard]',
      '/rules',
      /wizard is not in codes\/subject-roles$/,
    ],
    [
      'ends a term before it begins',
      'policies/court.yml',
      '    rows: {',
      '    term: { from: 2026-02-01, until: 2026-01-01 }\n    rows: {',
      '/rules',
      /its term ends before it begins$/,
    ],
    ['restricts nothing', 'policies/restrictions.yml', 'classes: { identity: mask }', 'classes: {}', '/restrictions', /restricts nothing$/],
    [
      'restricts a field that is none',
      'policies/restrictions.yml',
      'classes: { identity: mask }',
      'fields: { Person.shoeSize: deny }',
      '/restrictions/0/fields',
      /is no field of the catalog$/,
    ],
    [
      'masks what it never lists',
      'policies/big-data.yml',
      'classes: { open: allow }',
      'classes: { open: allow, personal: mask }',
      '/rules',
      /what is never listed cannot be masked$/,
    ],
    [
      'has a word that is not in the language',
      'policies/court.yml',
      'rows: { subject: own-case }',
      'rows: { subject: own-case, where: x }',
      '/rules/0/rows',
      /^unknown key where$/,
    ],
  ];

  it.each(cases)('(三员分立, HN-5) is refused when it %s', (_name, file, from, to, path, reason) => {
    const found = faultsWith(file, from, to).filter((fault) => fault.path === path && reason.test(fault.reason));
    expect(found.length).toBeGreaterThan(0);
    for (const fault of found) expect(fault.file).toMatch(/^(policies|codes)\/[\w-]+\.yml$/);
  });

  it('ZM-3.2.2 takes a new purpose as one line of YAML', () => {
    expect(
      faultsWith(
        'codes/purposes.yml',
        '  collection:',
        '  bid-bond: { zh: 投标保证, en: Bid bond, article: HN-29, needs: [case] }\n  collection:',
      ),
    ).toEqual([]);
  });
});
