import { checkUscc } from '../identity/uscc.ts';

/** Fields of an evaluation result that a receiving platform wants filled; PJDJMC, PJJG and PJRQ may be empty. */
const REQUIRED = ['PJZTMC', 'TYSHXYDM', 'PJFA', 'PJND', 'PJDJ', 'CXBZ'] as const;

/** Why a platform would not take it; '' when it would. `directory` holds the credit codes that the platform knows; undefined: it takes any right one. */
export function refusalOf(given: Record<string, unknown>, directory: ReadonlySet<string> | undefined): string {
  const text = (name: string): string => (typeof given[name] === 'string' || typeof given[name] === 'number' ? String(given[name]) : '');
  const missing = REQUIRED.find((name) => text(name).trim() === '');
  if (missing) return `${missing}不能为空`;
  if (!checkUscc(text('TYSHXYDM')).valid) return '统一社会信用代码校验不通过';
  if (directory && !directory.has(text('TYSHXYDM'))) return '统一社会信用代码不存在';
  if (!['A', 'B', 'C', 'D'].includes(text('PJDJ'))) return '等级不在值域内';
  if (!/^\d{4}$/.test(text('PJND'))) return '评价年度格式不正确';
  if (!/^(\d{4}-\d\d-\d\d)?$/.test(text('PJRQ'))) return '评价日期格式不正确';
  return ['0', '1'].includes(text('CXBZ')) ? '' : '撤销标志不在值域内';
}
