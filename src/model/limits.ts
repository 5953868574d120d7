import { table } from './reference.ts';
import type { Limit, Model } from './types.ts';

type Language = 'en' | 'zh';
const WORDS = {
  en: {
    head: ['limit', 'largest', 'counts'],
    request: 'units that a request costs by itself; each row that it may bring costs one more',
    department: 'units of a department',
    person: 'units of a person',
    stranger: 'units of an address that sends requests without a valid token',
    again: (units: string) => `; as many as can be spent at once, ${units} a minute come back`,
  },
  zh: {
    head: ['名称', '上限', '含义'],
    request: '一次请求本身所用额度；可能返回的每一行另计一个单位',
    department: '一个部门的额度',
    person: '一个人的额度',
    stranger: '未出示有效令牌的一个来源地址的额度',
    again: (units: string) => `；为一次可用的数量，每分钟恢复 ${units}`,
  },
} as const;

/** What one request may ask for, what runs at once and how much may be asked, as a Markdown table. */
export function limitsTable({ limits }: Model, language: Language): string {
  const words = WORDS[language];
  const number = (n: number) => n.toLocaleString('en');
  const rows = (part: string, of: Readonly<Record<string, Limit>>) =>
    Object.entries(of).map(([name, limit]) => [`\`${part}.${name}\``, number(limit.max), limit[language]]);
  const budgets = (['department', 'person', 'stranger'] as const).map((name) => {
    const { burst, perMinute } = limits.budgets[name];
    return [`\`budgets.${name}\``, number(burst), `${words[name]}${words.again(number(perMinute))}`];
  });
  const request = ['`budgets.request`', number(limits.budgets.request), words.request];
  return table(words.head, [
    ...rows('query', limits.query),
    ...rows('capacity', limits.capacity),
    ...rows('streams', limits.streams),
    request,
    ...budgets,
  ]);
}
