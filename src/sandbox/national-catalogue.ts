import { randomBytes } from 'node:crypto';
import { zipSync } from 'fflate';
import type { SandboxData } from './generate.ts';
import type { Row } from './population.ts';
import { objectOf } from './server.ts';

/** Output of a transaction, or the platform's words for why there is none. */
type Output = Record<string, unknown> | string;

const textIn = (node: unknown, name: string): string => {
  const value = objectOf(node)[name];
  return typeof value === 'string' ? value : '';
};

/** 1101: one person by kind of certificate, number and name. Hunan wants all three. */
export function personLookup(data: SandboxData): (input: Record<string, unknown>) => Output {
  const persons = new Map((data.onDemand.get('national-insurance/person-lookup') ?? []).map((row) => [row['certno'], row]));
  return ({ data: asked }) => {
    const [type, number, name] = ['psn_cert_type', 'certno', 'psn_name'].map((key) => textIn(asked, key));
    if (!type || !number || !name) return 'psn_cert_type、certno、psn_name均不能为空';
    const found = persons.get(number);
    return found?.['psn_name'] === name && found['psn_cert_type'] === type ? nested(found) : `未查询到人员信息：${name}`;
  };
}

/** A flat row as the platform sends it: `insuinfo.KEY` in the first item of `insuinfo`. */
function nested(row: Row): Record<string, unknown> {
  const inside = (node: string) =>
    Object.fromEntries(
      Object.entries(row).flatMap(([key, value]) => (key.startsWith(`${node}.`) ? [[key.slice(node.length + 1), value]] : [])),
    );
  const baseinfo = Object.fromEntries(Object.entries(row).filter(([key]) => !key.includes('.')));
  return { baseinfo, insuinfo: [inside('insuinfo')], idetinfo: [] };
}

/** 1901: the values of one type. All five fields must be there, `parentValue` may be blank. */
export function dictionaryQuery(data: SandboxData): (input: Record<string, unknown>) => Output {
  const rows = data.streams.get('national-insurance/dictionary-query') ?? [];
  return ({ data: asked }) => {
    const missing = ['type', 'admdvs', 'date', 'valiFlag'].find((key) => textIn(asked, key) === '');
    if (missing !== undefined) return `${missing}不能为空`;
    return { list: rows.filter((row) => row['type'] === textIn(asked, 'type') && row['valiFlag'] === textIn(asked, 'valiFlag')) };
  };
}

/** 1301 prepares a file of what is newer than the version asked for, 9102 hands it out once or more often. */
export function drugCatalogue(data: SandboxData): {
  prepare: (input: Record<string, unknown>) => Output;
  download: (input: Record<string, unknown>) => Buffer | string;
} {
  const files = new Map<string, Buffer>();
  return {
    prepare({ data: asked }) {
      const version = textIn(asked, 'ver');
      if (version === '') return 'ver不能为空';
      const rows = (data.streams.get('national-insurance/drug-catalogue') ?? []).filter((row) => Number(row['VER']) > Number(version));
      const number = randomBytes(15).toString('hex');
      if (rows.length > 0) files.set(number, zipOf(`${number}.txt`, rows));
      return { file_qury_no: rows.length > 0 ? number : '', filename: `${number}.txt.zip`, dld_end_time: '', data_cnt: rows.length };
    },
    download({ fsDownloadIn: asked }) {
      return files.get(textIn(asked, 'file_qury_no')) ?? 'FSI-文件查询号不能为空';
    },
  };
}

/** A ZIP of one text, the values of each row between tabs in their order. */
export function zipOf(name: string, rows: readonly Readonly<Record<string, unknown>>[]): Buffer {
  const lines = rows.map((row) => `${Object.values(row).map(String).join('\t')}\n`);
  return Buffer.from(zipSync({ [name]: Buffer.from(lines.join('')) }));
}
