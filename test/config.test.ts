import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONFIG, readConfig } from '../src/config.ts';

const SECRET = 'pa55-w0rd-not-real';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hub-config-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fileWith(text: string): Promise<string> {
  const path = join(folder, `value-${text.length}`);
  await writeFile(path, text);
  return path;
}
const messageOf = (env: Record<string, string>): string => {
  try {
    readConfig(env);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('the configuration was taken');
};

describe('the configuration', () => {
  it('is complete without any variable', () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      databaseUrl: undefined,
      redisUrl: undefined,
      keys: undefined,
      jwksUrl: undefined,
      host: '127.0.0.1',
      port: 4000,
    });
    expect(Object.values(config)).not.toContain('');
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig(Object.fromEntries(CONFIG.map((v) => [v.name, ''])))).toEqual(readConfig({}));
  });

  it('P15 names every variable at fault at once, and never a value', () => {
    const message = messageOf({
      HUB_PORT: SECRET,
      DATABASE_URL: `mysql://hub:${SECRET}@db/hub`,
      REDIS_URL: `${SECRET} redis`,
      OIDC_JWKS_URL: `ftp://${SECRET}/keys`,
    });
    for (const name of ['HUB_PORT', 'DATABASE_URL', 'REDIS_URL', 'OIDC_JWKS_URL']) expect(message).toContain(name);
    expect(message).not.toContain(SECRET);
  });

  it('refuses what is no port', () => {
    for (const port of ['-1', '65536', '40.5', 'http', '0x']) expect(messageOf({ HUB_PORT: port })).toContain('HUB_PORT');
    expect(readConfig({ HUB_PORT: '0' }).port).toBe(0);
  });
});

describe('a secret in a file', () => {
  it('P15 is read from where NAME_FILE says, without the line end', async () => {
    const url = `postgres://hub:${SECRET}@db/hub`;
    const config = readConfig({ DATABASE_URL_FILE: await fileWith(`${url}\n`), HUB_KEYS_FILE: await fileWith('{"suite":"x"}\r\n') });
    expect(config).toMatchObject({ databaseUrl: url, keys: '{"suite":"x"}' });
  });

  it('P15 is left alone when the variable itself is set', async () => {
    const file = await fileWith('postgres://file/hub');
    expect(readConfig({ DATABASE_URL: 'postgres://direct/hub', DATABASE_URL_FILE: file }).databaseUrl).toBe('postgres://direct/hub');
  });

  it('P15 is checked like the variable, and no part of it is said', async () => {
    const message = messageOf({ DATABASE_URL_FILE: await fileWith(`oracle://hub:${SECRET}@db`) });
    expect(message).toContain('DATABASE_URL');
    expect(message).not.toContain(SECRET);
  });

  it('P15 that is missing stops the start and does not count as not set', () => {
    expect(messageOf({ HUB_KEYS_FILE: join(folder, 'nothing-here') })).toContain('ENOENT');
  });

  it('P15 is offered for every variable that holds a secret', () => {
    expect(CONFIG.filter((v) => v.file).map((v) => v.name)).toEqual(expect.arrayContaining(['DATABASE_URL', 'REDIS_URL', 'HUB_KEYS']));
  });

  it('takes proxies as addresses and networks, and one of two modes of documents', () => {
    expect(readConfig({})).toMatchObject({ trustProxy: [], documents: 'any' });
    const given = readConfig({ HUB_TRUST_PROXY: '127.0.0.1, 10.0.0.0/8,2001:db8::/32', HUB_DOCUMENTS: 'trusted' });
    expect(given).toMatchObject({ trustProxy: ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32'], documents: 'trusted' });
    for (const wrong of ['all', 'true', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0/8', '::1/129'])
      expect(messageOf({ HUB_TRUST_PROXY: wrong })).toContain('HUB_TRUST_PROXY');
    expect(messageOf({ HUB_DOCUMENTS: 'none' })).toContain('HUB_DOCUMENTS');
  });
});
