/** 1101 on demand: an officer asks for persons by lines of standard input, and who they are stays nowhere but in the records. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sync } from '../src/commands/sync.ts';
import { runPull } from '../src/jobs/pull.ts';
import { decode } from '../src/log/canonical.ts';
import { generate } from '../src/sandbox/generate.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { openHub, type TestHub } from './setup/platforms.ts';
import { pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const NAME = 'national-insurance/person-lookup';
const stream = pullStreamOf(NAME);
const persons = (data.onDemand.get(NAME) ?? [])
  .slice(0, 4)
  .map((row) => ({ number: String(row['certno']), name: String(row['psn_name']) }));
const [known, second, third, other] = persons as [Person, Person, Person, Person];
interface Person {
  number: string;
  name: string;
}
const lineOf = ({ number, name }: Person): string => `${number}\t${name}`;

let hub: TestHub;
const ring = newKeyRing();
beforeAll(async () => {
  hub = await openHub({ data, ring });
});
afterAll(() => hub.close());
const rows = async <R>(text: string) => (await hub.pool.query<R>(text)).rows;

describe('persons asked for on demand', () => {
  it('HN-15 become one registration each, with the first of their insurances', async () => {
    const result = await runPull(hub.jobs, stream, {
      trigger: 'manual',
      lines: [lineOf(known), '', ` ${second.number} \t ${second.name} `],
    });
    expect(result?.counts).toMatchObject({ in: 2, stored: 2, unchanged: 0, issues: 0 });
    const found = await rows<{ kind: string; open: object; internal: object; personal: object; region: string }>(
      `select kind, open, internal, personal, region from record where stream = 'person-lookup' order by id`,
    );
    const row = data.onDemand.get(NAME)?.[0] ?? {};
    expect(found[0]).toMatchObject({
      kind: 'person-registration',
      region: row['insuinfo.insuplc_admdvs'],
      internal: { certificateType: '01', insuranceType: row['insuinfo.insutype'], insuredStatus: row['insuinfo.psn_insu_stas'] },
      personal: { personType: row['insuinfo.psn_type'] },
    });
  });

  it('P5 asked again they change nothing', async () => {
    const result = await runPull(hub.jobs, stream, { trigger: 'manual', lines: [lineOf(known)] });
    expect(result?.counts).toMatchObject({ in: 1, stored: 0, unchanged: 1 });
  });

  it('P11 whom the platform does not know, and a line that asks for nobody, are issues; the others are answered', async () => {
    const lines = [`${third.number}\t${other.name}`, third.number, lineOf(third), `${third.number}\t${third.name}\tx`];
    const result = await runPull(hub.jobs, stream, { trigger: 'manual', lines });
    expect(result?.counts).toMatchObject({ in: 4, stored: 1, issues: 3 });
    expect(await rows(`select rule, at, reason from issue where stream = 'person-lookup' order by at`)).toEqual([
      { rule: 'platform-refused', at: '1101 line 1', reason: '未查询到人员信息：***' },
      { rule: 'bad-line', at: '1101 line 2', reason: '该行应为以制表符分隔的 2 项，均不能为空' },
      { rule: 'bad-line', at: '1101 line 4', reason: '该行应为以制表符分隔的 2 项，均不能为空' },
    ]);
  });

  it('P18 without lines the stream stops, and no schedule or full sync starts it', async () => {
    await expect(runPull(hub.jobs, stream, { trigger: 'manual' })).rejects.toThrow(/keys-required.*--keys-stdin/);
    expect(stream.schedule).toBeUndefined();
  });

  it('P15 HN-23.2 nobody’s number or name is in cursor, ledger, issues, log or output of the process; each run is logged with its rows', async () => {
    const entries = await rows<{ body: Buffer }>(`select body from query_log where kind = 'pull'`);
    const logged = entries.map(({ body }) => decode(body).entry);
    expect(logged.map(({ operation, rows: n, outcome }) => [operation, n, outcome])).toEqual([
      [NAME, 2, 'answered'],
      [NAME, 1, 'answered'],
      [NAME, 4, 'answered'],
      [NAME, 0, 'failed'],
    ]);
    const kept = JSON.stringify([
      logged,
      hub.said,
      await rows('select * from stream_state'),
      await rows('select * from run'),
      await rows('select rule, at, place, reason, raw from issue'),
      await rows('select source_key, open, internal, commercial, sealed, masks from record'),
    ]);
    for (const { number, name } of [known, second, third, other]) {
      expect(kept).not.toContain(number);
      if (name !== other.name) expect(kept.replaceAll(/"employerName":"[^"]*"/g, '')).not.toContain(`"${name}"`);
    }
    expect(await rows('select cursor from stream_state')).toEqual([{ cursor: null }]);
  });
});

describe('hub sync --keys-stdin', () => {
  const run = async (name: string, options: Parameters<typeof sync>[2], input = ''): Promise<string> => {
    const environment = {
      ...hub.sandboxes.env,
      DATABASE_URL: hub.databaseUrl,
      HUB_KEYS: ring,
      HUB_TEST_UNSAFE: 'yes',
      LOG_LEVEL: 'silent',
    };
    const written: string[] = [];
    const [out, err] = [process.stdout.write, process.stderr.write];
    const keep = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
    process.stdout.write = keep;
    process.stderr.write = keep;
    try {
      await sync(environment, name, options, Readable.from([input]));
    } finally {
      process.stdout.write = out;
      process.stderr.write = err;
    }
    return written.join('');
  };

  it('reads whom to ask about from standard input and prints the counts, not the persons', async () => {
    const said = await run(NAME, { keysStdin: true }, `${lineOf(other)}\r\n`);
    expect(JSON.parse(said.trim().split('\n').at(-1) ?? '')).toMatchObject({
      connector: 'national-insurance',
      stream: 'person-lookup',
      in: 1,
      stored: 1,
    });
    expect(said).not.toContain(other.number);
    expect(said).not.toContain(other.name);
  });

  it('is needed by a stream that is asked by line, and refused by every other', async () => {
    await expect(run(NAME, {})).rejects.toThrow('--keys-stdin');
    await expect(run('credit-china/penalties', { keysStdin: true })).rejects.toThrow('not asked for by line');
  });
});
