import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxData } from './generate.ts';
import type { Row } from './population.ts';

const PACKETS: Readonly<Record<string, string>> = {
  RS_CBDW: 'hunan-credit-files/employer-registrations',
  RS_WFXW: 'hunan-credit-files/labour-violations',
  FY_XZXF: 'hunan-credit-files/consumption-restrictions',
  FY_CPWS: 'hunan-credit-files/judgments',
  YJ_YPJY: 'hunan-credit-files/drug-licences',
  YJ_XZCF: 'hunan-credit-files/drug-penalties',
};

/**
 * File mode of GB/T 39443: puts the packets of each department into `folder/drop`, two for every stream, written aside and then renamed.
 * A packet that is there stays as it is. Returns the environment of the connector; the feedback goes to `folder/feedback`.
 */
export async function fillDropFolder(folder: string, data: SandboxData): Promise<Record<string, string>> {
  const drop = join(folder, 'drop');
  await mkdir(drop, { recursive: true });
  for (const [prefix, stream] of Object.entries(PACKETS)) {
    const rows = data.streams.get(stream) ?? [];
    const half = Math.ceil(rows.length / 2);
    for (const [i, part] of [rows.slice(0, half), rows.slice(half)].entries()) {
      const path = join(drop, `${prefix}_${data.now.slice(0, 10).replaceAll('-', '')}_${i + 1}.csv`);
      if (existsSync(path)) continue;
      await writeFile(`${path}.part`, csvOf(part));
      await rename(`${path}.part`, path);
    }
  }
  return { HUNAN_CREDIT_DROP_FOLDER: drop, HUNAN_CREDIT_FEEDBACK_FOLDER: join(folder, 'feedback') };
}

function csvOf(rows: readonly Row[]): string {
  const header = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) => header.map((name) => cell(row[name])).join(','));
  return [header.join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

function cell(value: Row[string] | undefined): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
