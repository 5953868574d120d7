/** L47: what can be asked from outside, all of it: without a token nothing but signs of life and the pages of the console. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LogRow, openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ server: { trustProxy: ['127.0.0.1', '10.0.0.0/8'] } });
});
afterAll(() => hub.close());

/** Open to everybody, and what they may say. */
const OPEN = new Map([
  ['GET /health', /^\{"status":"ok"\}$/],
  ['GET /ready', /^\{"status":"ready"\}$/],
  // Labels of a code set that is published with the schema.
  ['GET /ide/purposes.json', /^\[\{"code":/],
]);

describe('L47 every route', () => {
  it('without a token is answered 401, but for those that are open', async () => {
    expect(hub.routes.length).toBeGreaterThan(OPEN.size);
    for (const open of OPEN.keys()) expect(hub.routes).toContain(open);
    for (const route of hub.routes) {
      const [method = '', path = ''] = route.split(' ');
      const response = await fetch(`${hub.url}${path}`, { method });
      const text = await response.text();
      const said = OPEN.get(route);
      expect([route, response.status]).toEqual([route, said ? 200 : 401]);
      if (said) expect(text).toMatch(said);
      else if (method !== 'HEAD') expect(text).toMatch(/TOKEN_REQUIRED/);
    }
  });

  it.each(['/metrics', '/debug', '/.env', '/graphql/', '/api', '/admin', '/export', '/queues', '/ide/../graphql', '//graphql'])(
    'that is none (%s) tells nothing',
    async (path) => {
      const response = await fetch(`${hub.url}${path}`);
      expect([401, 404]).toContain(response.status);
      expect((await response.text()).length).toBeLessThan(600);
    },
  );

  it('whose body is too long is told nothing but that a token is missing', async () => {
    const { result, added } = await hub.logged(() => hub.send('x'.repeat(100_000), { authorization: null }));
    expect({ status: result.status, codes: result.codes }).toEqual({ status: 401, codes: ['TOKEN_REQUIRED'] });
    expect(added.map(({ entry }) => entry.code)).toEqual(['TOKEN_REQUIRED']);
  });
});

describe('ZM-3.2.3 the address of the caller in the log', () => {
  const clientBehind = async (of: TestHub, forwarded: string): Promise<string | undefined> => {
    const { added } = await of.logged(() => of.ask('{ __typename }', { headers: { 'x-forwarded-for': forwarded } }));
    return (added as LogRow[])[0]?.entry.client;
  };

  it.each([
    ['what the nearest proxy saw', '198.51.100.7', '198.51.100.7'],
    ['what the farthest proxy that is trusted saw', '198.51.100.7, 10.1.2.3', '198.51.100.7'],
    ['not what the caller itself wrote before that', '203.0.113.9, 198.51.100.7', '198.51.100.7'],
    ['an address of IPv6', '2001:db8::7', '2001:db8::7'],
    ['the proxy where it sends no address', '430102199001010011', '127.0.0.1'],
  ])('is %s', async (_, forwarded, client) => {
    expect(await clientBehind(hub, forwarded)).toBe(client);
  });

  it('is the other end of the socket where no proxy is trusted', async () => {
    const plain = await openHub();
    try {
      expect(await clientBehind(plain, '198.51.100.7')).toBe('127.0.0.1');
    } finally {
      await plain.close();
    }
  });
});
