import { RejectRecord } from '../errors.ts';

/** Why a raw record is refused. Closed: an issue's rule is one of these words, so issues can be counted and explained. */
export type MappingRule = keyof typeof SAYS;

const SAYS = {
  required: '必填项为空',
  'unknown-code': '取值不在约定的代码之内',
  'bad-date': '不是有效的日期或时间',
  'bad-amount': '不是有效的数值或金额',
  'too-long': '超过规定的最大长度',
  'bad-text': '含有不允许的控制字符，或不是文本',
  'bad-identifier': '主体编码未通过校验',
  'no-identifier': '没有可以识别主体的编码',
  'bad-region': '行政区划代码无效',
  'bad-period': '有效期止早于有效期起，或有效期过长',
  'unknown-article': '违反条款不在归类依据之内',
} as const;

/**
 * The refusal of a record because of the column `where` (empty: the record as a whole). The message names column and rule, and `detail`, an
 * English word of a check; it MUST NOT hold the value, which may be personal.
 */
export function reject(rule: MappingRule, where: string, detail = ''): RejectRecord {
  const column = where === '' ? '' : `列「${where}」`;
  return new RejectRecord(rule, where, `${column}${SAYS[rule]}（规则 ${rule}${detail && `: ${detail}`}）`);
}
