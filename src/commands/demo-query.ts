/** The departments of the demo: the same question, each for a purpose of its own work. */
export interface DemoDepartment {
  key: string;
  code: string;
  officer: { id: string; name: string };
  purpose: string;
  case: string;
}

export const DEMO_DEPARTMENTS: readonly [DemoDepartment, ...DemoDepartment[]] = [
  { key: 'health', code: 'health', officer: { id: 'wj-0001', name: '陈静' }, purpose: 'credit-evaluation', case: '2026年度评价征求意见' },
  {
    key: 'marketSupervision',
    code: 'market-supervision',
    officer: { id: 'sj-0001', name: '刘洋' },
    purpose: 'administrative-inspection',
    case: '双随机检查2026-11',
  },
  { key: 'tax', code: 'tax', officer: { id: 'sw-0001', name: '周敏' }, purpose: 'fiscal-support', case: '财政资金支持审核' },
];

export const demoQuery = `query Archive($code: String!) {
  subject(code: $code) {
    name
    region
    roles
    ... on Organisation { creditCode institutionCode }
    archive {
      no
      zh
      count
      records(first: 2) {
        nodes {
          kind
          occurredOn
          source { connector stream }
          ... on RegistrationRecord { legalRepresentative address }
          ... on AdministrationRecord { decisionNumber facts fineAmount authority decidedOn }
          ... on EvaluationRecord { scheme grade year }
          ... on AgreementRecord { agreementName signedOn }
          ... on ViolationRecord { facts amount }
          ... on DishonestyListRecord { listName reason }
        }
      }
    }
  }
}`;
