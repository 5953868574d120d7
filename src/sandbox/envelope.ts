import { objectOf } from './server.ts';

/**
 * Longest value of each field of the request envelope, and which must be filled (domain A.1). The name of the institution may be blank: who asks
 * about another institution knows only its code.
 */
const FIELDS: Record<string, { max: number; required: boolean }> = {
  infno: { max: 4, required: true },
  msgid: { max: 30, required: true },
  mdtrtarea_admvs: { max: 6, required: true },
  insuplc_admdvs: { max: 6, required: false },
  recer_sys_code: { max: 10, required: true },
  dev_no: { max: 100, required: false },
  dev_safe_info: { max: 2000, required: false },
  cainfo: { max: 1024, required: false },
  signtype: { max: 10, required: false },
  infver: { max: 6, required: true },
  opter_type: { max: 3, required: true },
  opter: { max: 30, required: true },
  opter_name: { max: 50, required: true },
  inf_time: { max: 19, required: true },
  fixmedins_code: { max: 12, required: true },
  fixmedins_name: { max: 20, required: false },
  sign_no: { max: 30, required: false },
};

export interface Envelope {
  infno: string;
  institution: string;
  region: string;
  signNo: string;
  input: Record<string, unknown>;
}

/** The envelope, or the platform's words for what is wrong with it. Optional fields may be left out. */
export function readEnvelope(body: unknown): Envelope | string {
  const fields = objectOf(body);
  for (const [name, { max, required }] of Object.entries(FIELDS)) {
    const value = fields[name] ?? '';
    if (typeof value !== 'string') return `${name}必须为字符串`;
    if (required && value.trim() === '') return `${name}不能为空`;
    if ([...value].length > max) return `${name}长度不能超过${max}`;
  }
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  if (!/^[A-Z]\d{29}$/.test(text('msgid'))) return 'msgid格式不正确，应为机构编号(12)+时间(14)+顺序号(4)';
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text('inf_time'))) return 'inf_time格式不正确';
  if (typeof fields['input'] !== 'object' || fields['input'] === null || Array.isArray(fields['input'])) return 'input不能为空';
  return {
    infno: text('infno'),
    institution: text('fixmedins_code'),
    region: text('mdtrtarea_admvs'),
    signNo: text('sign_no'),
    input: objectOf(fields['input']),
  };
}
