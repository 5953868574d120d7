/** What a decision leaves on a record from its day on. */
const MARKS: Readonly<Record<string, string>> = {
  repair: '修复',
  expiry: '公示期限届满',
  correction: '更正',
  objection: '异议成立',
  deletion: '撤销',
};

/** 某年某月某日修复 (HN-27): `day` is YYYY-MM-DD, `cause` a code of codes/recall-causes that a person decides. */
export function decisionMark(day: string, cause: string): string {
  const [year, month, date] = day.split('-').map(Number);
  return `${year}年${month}月${date}日${MARKS[cause] ?? ''}`;
}
