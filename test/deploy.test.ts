import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import { accessSync, constants, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CONFIG } from '../src/config.ts';
import { APP } from '../src/store/roles.ts';

interface Service {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  healthcheck: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  networks: string[];
  secrets?: string[];
  ports?: string[];
  volumes?: string[];
}

interface Compose {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, object>;
  secrets: Record<string, { file: string }>;
}

const COMMANDS = ['serve', 'work', 'migrate', 'health', 'log'];
const PINNED = /^[a-z0-9./-]+:[a-z0-9][a-z0-9._-]*$/;

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const composeText = read('docker-compose.yml');
const compose = parse(composeText, { merge: true }) as Compose;
const services = Object.entries(compose.services);
const hub = services.filter(([, service]) => service.build !== undefined);
const pinned = (image: string): boolean => PINNED.test(image) && !image.endsWith(':latest');

/** Variables a deployment may set: those of the README's table, and `NAME_FILE` for those that may come from a file. */
const documented = CONFIG.flatMap(({ name, file }) => (file ? [name, `${name}_FILE`] : [name]));

describe('docker-compose.yml', () => {
  it('is written in the part of the Compose format that its schema allows', () => {
    const validate = new Ajv({ allErrors: true, strict: false }).compile(JSON.parse(read('test/fixtures/compose.schema.json')) as object);
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
  });

  it('runs two API processes, two workers and the sealer, each by a command of the hub', () => {
    expect(hub.map(([, { command }]) => command?.[0]).sort()).toEqual(['log', 'migrate', 'serve', 'serve', 'work', 'work']);
    expect(hub.filter(([, { command }]) => !COMMANDS.includes(command?.[0] ?? ''))).toEqual([]);
  });

  it('checks the health of every service that stays up', () => {
    const unchecked = services.filter(([, { healthcheck }]) => healthcheck.test === undefined).map(([name]) => name);
    expect(unchecked).toEqual(['migrate']);
    for (const [, { healthcheck, command }] of hub) {
      if (command?.[0] !== 'migrate') expect(healthcheck.test).toEqual(['CMD', 'node', 'dist/main.js', 'health']);
    }
  });

  it('starts nothing before what it needs is healthy and migrated', () => {
    for (const [, service] of services) {
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        const checked = compose.services[needed]?.healthcheck.test !== undefined;
        expect(condition).toBe(checked ? 'service_healthy' : 'service_completed_successfully');
      }
    }
    for (const [, service] of hub.filter(([name]) => name !== 'migrate')) {
      expect(Object.keys(service.depends_on ?? {}).sort()).toEqual(['migrate', 'postgres', 'redis']);
    }
  });

  it('sets documented variables only, each process under a name of its own in the query log', () => {
    const used = new Set(hub.flatMap(([, { environment }]) => Object.keys(environment ?? {})));
    expect([...used].filter((name) => !documented.includes(name))).toEqual([]);
    const nodes = hub.map(([, { environment }]) => environment?.HUB_NODE);
    expect(new Set(nodes).size).toBe(hub.length);
  });

  it('T13 lets nobody but the migration log in as the owner, and makes the user of all others a member of hub_app alone', async () => {
    const owners = services.filter(([, { secrets }]) => secrets?.includes('owner_url')).map(([name]) => name);
    expect(owners).toEqual(['migrate']);
    expect(compose.services['postgres']?.volumes).toContain('./deploy/postgres-user.sh:/docker-entrypoint-initdb.d/10-user.sh:ro');
    const script = read('deploy/postgres-user.sh');
    const [, statements = ''] = /<<'SQL'\n([\s\S]*?)\nSQL/.exec(script) ?? [];
    expect(statements.split('\n')).toEqual([
      `create role ${APP} nologin noinherit;`,
      `create role hub_service login password :'password' in role ${APP};`,
    ]);
  });

  it('P3 gives the key of the checkpoints to the sealer alone, and the sealer no other key', () => {
    const holders = services.filter(([, { secrets }]) => secrets?.includes('seal_key'));
    expect(holders.map(([name, { secrets }]) => [name, secrets])).toEqual([['seal', ['database_url', 'seal_key']]]);
  });

  it('asks for the variables without which tokens of a development key would be taken', () => {
    for (const name of ['OIDC_ISSUER', 'OIDC_JWKS_URL']) {
      // The sealer answers nobody.
      for (const [, { environment }] of hub.filter(([service]) => service !== 'seal'))
        expect(environment?.[name]).toMatch(new RegExp(`^\\$\\{${name}:\\?`));
    }
  });

  it('holds no secret: each comes from a file that is declared and not in the repository', () => {
    const values = services.flatMap(([, { environment }]) => Object.entries(environment ?? {}));
    expect(values.filter(([name]) => /PASSWORD|KEYS|SECRET|DATABASE_URL/.test(name) && !name.endsWith('_FILE'))).toEqual([]);
    for (const [, value] of values.filter(([name]) => name.endsWith('_FILE'))) {
      expect(Object.keys(compose.secrets).map((secret) => `/run/secrets/${secret}`)).toContain(value);
    }
    for (const [, service] of services) {
      const files = Object.values(service.environment ?? {}).filter((value) => value.startsWith('/run/secrets/'));
      // The database's own script reads the password of the service user.
      const read = (service.secrets ?? []).filter((secret) => secret !== 'service_password');
      expect(read.map((secret) => `/run/secrets/${secret}`).sort()).toEqual(files.sort());
    }
    expect(read('.dockerignore').split('\n')).toEqual(expect.arrayContaining(['secrets', '.env', '**/node_modules']));
  });

  it('keeps the data stores off the outside network, durable and refusing to evict', () => {
    expect(compose.networks.data?.internal).toBe(true);
    for (const name of ['postgres', 'redis']) {
      expect(compose.services[name]?.networks).toEqual(['data']);
      expect(compose.services[name]?.ports).toBeUndefined();
      expect(Object.keys(compose.volumes)).toContain(compose.services[name]?.volumes?.[0]?.split(':')[0]);
    }
    const redis = compose.services.redis?.command?.join(' ');
    expect(redis).toContain('--appendonly yes');
    expect(redis).toContain('--appendfsync everysec');
    expect(redis).toContain('--maxmemory-policy noeviction');
  });

  it('pins every image and gives every published port once', () => {
    expect(services.filter(([, { image }]) => !pinned(image))).toEqual([]);
    const ports = services.flatMap(([, service]) => service.ports ?? []).map((port) => port.split(':')[1]);
    expect(new Set(ports).size).toBe(ports.length);
  });
});

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n');
  const starts = lines.flatMap((line, index) => (line.startsWith('FROM ') ? [index] : []));
  const stages = starts.map((start, index) => lines.slice(start, starts[index + 1] ?? lines.length));
  const [build = [], runtime = []] = stages;

  it('builds in one stage and runs in another, both from a pinned image of Node 24', () => {
    expect(stages.map(([from]) => from)).toEqual(['FROM node:24-bookworm-slim AS build', 'FROM node:24-bookworm-slim AS runtime']);
    expect(build).toContain('RUN npm ci');
    expect(build.join('\n')).toContain('npm run build && npm run build:console');
  });

  it('takes production packages only, copies what exists and runs without rights of root', () => {
    expect(runtime.join('\n')).toContain('npm ci --omit=dev');
    const stageNames = new Set(['build', 'runtime']);
    for (const [, name = ''] of read('Dockerfile').matchAll(/--from=(\S+)/g)) expect(stageNames).toContain(name);
    expect(runtime).toContain('USER node');
    expect(runtime.findIndex((line) => line.startsWith('USER'))).toBeLessThan(runtime.findIndex((line) => line.startsWith('ENTRYPOINT')));
  });

  it('names commands and variables that the hub has', () => {
    const quoted = runtime.filter((line) => /^(?:HEALTHCHECK|CMD)/.test(line)).map((line) => [...line.matchAll(/"([^"]+)"/g)].at(-1)?.[1]);
    expect(quoted).toEqual(['health', 'serve']);
    const variables = [...runtime.join('\n').matchAll(/\b(HUB_[A-Z]+)=/g)].map(([, name = '']) => name);
    expect(variables.filter((name) => !documented.includes(name))).toEqual([]);
  });
});

describe('.ci/run', () => {
  const script = read('.ci/run');

  it('can be executed, stops at the first fault and reads nothing from a keyboard', () => {
    accessSync(new URL('../.ci/run', import.meta.url), constants.X_OK);
    expect(script).toMatch(/^#!\/usr\/bin\/env bash\n/);
    expect(script).toContain('set -euo pipefail');
    expect(script).toContain('exec </dev/null');
  });

  it('installs what the lock file says and ends with npm test', () => {
    const commands = script.split('\n').filter((line) => line.startsWith('npm '));
    expect(commands).toEqual(['npm ci', 'npm test']);
    expect(script.trimEnd().endsWith('\nnpm test')).toBe(true);
  });
});
