/** What people do beside reading, in the two worlds: entries of the caller's region alike, those of other regions by chance; issues and code tables alike. */
import { randomOf } from '../../src/sandbox/random.ts';
import { nameOf } from '../fixtures/population.ts';
import type { TestHub } from './hub.ts';
import type { Side } from './two-worlds.ts';

const INSERT = `insert into submission (id, category, kind, region, sealed, basis, route, entered_by, entered_name, entered_department, entered_at)
  overriding system value values ($1, 10, 'honour', $2, $3, $4, 'supervision', $5, $6, 'medical-insurance', '2026-05-01')`;

export async function addWork(hub: TestHub, side: Side, seed: number, region: string): Promise<void> {
  const { pool, keys } = hub;
  const common = randomOf(seed, 'work');
  const own = randomOf(seed, `work ${side}`);
  const sealed = keys.seal('{}', 'submission');
  for (let id = 500; id < 505; id += 1)
    await pool.query(INSERT, [id, region, sealed, `依据${id}`, `wj-${common.digits(4)}`, nameOf(common)]);
  for (let i = own.int(2, 9); i > 0; i -= 1)
    await pool.query(INSERT, [
      600 + i * own.int(1, 9) * 10 + i,
      '430400',
      sealed,
      `依据${own.digits(3)}`,
      `wj-${own.digits(4)}`,
      nameOf(own),
    ]);
  await pool.query(`insert into run (connector, stream, direction, state, trigger, officer_id, officer_name, taken, started_at)
    values ('credit-china', 'penalties', 'pull', 'done', 'manual', 'o', 'o', 400, '2026-01-01')`);
  for (let i = 0; i < 6; i += 1)
    await pool.query(
      `insert into issue (connector, stream, fingerprint, rule, at, place, reason, refused, raw, first_run, last_run, created_at, changed_at)
       values ($1, $2, $3, $4, '1', 'X', '日期无效', true, null, 1, 1, '2026-01-01', '2026-01-01')`,
      [['credit-china', 'hunan-credit'][i % 2], ['penalties', 'violations'][i % 2], Buffer.from([i]), ['bad-date', 'required'][i % 2]],
    );
  for (const [type, code, name] of [
    ['HOSP_LV', '1', '一级'],
    ['HOSP_LV', '2', '二级'],
    ['DIC_TYPE', 'HOSP_LV', '医院等级'],
  ])
    await pool.query(
      `insert into dictionary_value (source, type, code, region, name, valid, changed_at) values ('national-insurance/dictionary', $1, $2, '', $3, true, '2026-01-01')`,
      [type, code, name],
    );
}
