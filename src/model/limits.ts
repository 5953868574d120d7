import { table } from './reference.ts';
import type { Model } from './types.ts';

/** The limits of one request as a Markdown table. */
export function limitsTable(model: Model, language: 'en' | 'zh'): string {
  const head = { en: ['limit', 'largest', 'counts'], zh: ['名称', '上限', '含义'] }[language];
  const rows = Object.entries(model.limits.query).map(([name, limit]) => [`\`${name}\``, limit.max.toLocaleString('en'), limit[language]]);
  return table(head, rows);
}
