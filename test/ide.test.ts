import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { buildSchema, graphql } from 'graphql';
import { chromium as playwright } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';

const CONSOLE = join(import.meta.dirname, '..', 'console');
const PAGE = join(CONSOLE, 'dist', 'ide', 'index.html');
const chromium = [process.env['CHROMIUM'], '/usr/bin/chromium'].find((path) => path && existsSync(path));
const drive = chromium ? it : it.skip;
const sentence = (text: string): string => (chromium ? text : `${text} (skipped: no Chromium found)`);
const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

/** What the hub should send with the page: the strictest policy Monaco works under (it styles inline and carries its fonts as data). */
const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const PURPOSES = [
  { code: 'administrative-licence', zh: '行政许可', en: 'Administrative licence', article: 'ZM-3.2.2' },
  { code: 'credit-evaluation', zh: '信用评价', en: 'Credit evaluation', article: 'HN-29' },
];
const schema = buildSchema(`
  "信用主体" type Subject { code: String! name: String archive: Archive }
  "信用档案" type Archive { penalties: Int }
  type Query { subject(code: String!): Subject }
`);
const rootValue = {
  subject: ({ code }: { code: string }) => ({ code, name: '长沙某某医药有限公司', archive: { penalties: 2 } }),
};

/** One request the page made to the fake hub. */
interface Asked {
  headers: IncomingHttpHeaders;
  query: string;
  operationName: string | null;
}
const asked: Asked[] = [];

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  const send = (status: number, type: string, body: string | Buffer): void => {
    response.writeHead(status, { 'Content-Type': type, 'Content-Security-Policy': POLICY }).end(body);
  };
  if (path === '/graphql') {
    const { query, operationName = null }: { query: string; operationName?: string | null } = JSON.parse(
      Buffer.concat(await request.toArray()).toString('utf8'),
    );
    asked.push({ headers: request.headers, query, operationName });
    const result = await graphql({ schema, source: query, rootValue, operationName });
    const extensions = { log: { writer: 'w1', seq: 42, hash: 'c0ffee' }, access: { masked: { 'Subject.name': 'rule-7' }, denied: [] } };
    return send(200, 'application/json', JSON.stringify({ ...result, extensions }));
  }
  if (path === '/ide/purposes.json') return send(200, 'application/json', JSON.stringify(PURPOSES));
  const file = normalize(join(CONSOLE, 'dist', path.endsWith('/') ? `${path}index.html` : path));
  if (!file.startsWith(join(CONSOLE, 'dist') + sep) || !existsSync(file)) return send(404, 'text/plain', 'not found');
  send(200, TYPES[extname(file)] ?? 'application/octet-stream', readFileSync(file));
}

/** Builds the console, as for production, unless the built page is newer than all of its sources. */
function build(): void {
  const sources = ['package.json', 'vite.config.ts', ...readdirSync(join(CONSOLE, 'ide')).map((name) => join('ide', name))];
  const newest = Math.max(...sources.map((name) => statSync(join(CONSOLE, name)).mtimeMs));
  if (existsSync(PAGE) && statSync(PAGE).mtimeMs > newest) return;
  const vite = join(import.meta.dirname, '..', 'node_modules', 'vite', 'bin', 'vite.js');
  execFileSync(process.execPath, [vite, 'build', '--logLevel', 'error'], {
    cwd: CONSOLE,
    stdio: 'pipe',
    env: { ...process.env, NODE_ENV: 'production' },
  });
}

describe('the GraphQL IDE', () => {
  let server: Server;
  let origin: string;
  let browser: Browser | undefined;
  const foreign: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    build();
    server = createServer((request, response) => {
      answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (chromium) browser = await playwright.launch({ executablePath: chromium, args: FLAGS.split(' ') });
  }, 300_000);

  afterAll(async () => {
    await browser?.close();
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  });

  /** A fresh tab (own session) on the IDE; requests that leave the origin and anything the console complains of are collected. */
  async function open(hash = ''): Promise<Page> {
    if (!browser) throw new Error('no browser');
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN' });
    const page = await context.newPage();
    context.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin) foreign.push(request.url());
    });
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
    page.on('pageerror', (error) => void complaints.push(error.message));
    asked.length = 0;
    await page.goto(`${origin}/ide/${hash}`);
    await page.locator('.graphiql-query-editor .view-line').first().waitFor();
    return page;
  }

  const operations = (): Asked[] => asked.filter(({ operationName }) => operationName !== 'IntrospectionQuery');

  /** Presses Run and waits until the answer's text is on the screen. */
  async function run(page: Page, expected: string): Promise<void> {
    await page.locator('.graphiql-execute-button').click();
    await page.locator('.graphiql-response', { hasText: expected }).waitFor();
  }

  it('has a page without inline scripts and without addresses of other hosts', () => {
    const html = readFileSync(PAGE, 'utf8');
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
    expect(html).not.toMatch(/https?:\/\//);
  });

  drive(
    sentence('sends token, purpose, basis and case with the default query, shows the answer and its receipt, and stays on its own host'),
    async () => {
      const page = await open();
      await page.getByLabel('令牌').fill('header.payload.signature');
      await page.getByLabel('查询用途').selectOption('administrative-licence');
      await page.getByLabel('依据').fill('条例第二十九条');
      await page.getByLabel('案号').fill('长医保〔2025〕12号');
      await run(page, '长沙某某医药有限公司');

      const [sent] = operations();
      expect(operations()).toHaveLength(1);
      expect(sent?.query).toContain('archive');
      expect(sent?.headers).toMatchObject({
        authorization: 'Bearer header.payload.signature',
        'x-purpose': 'administrative-licence',
        'x-purpose-basis': encodeURIComponent('条例第二十九条'),
        'x-purpose-case': encodeURIComponent('长医保〔2025〕12号'),
      });
      expect(await page.getByRole('status').innerText()).toMatch(/w1#42[^]*脱敏\s*1[^]*不予提供\s*0/);
      expect(await page.evaluate('JSON.stringify(localStorage)')).toBe('{}');
      if (process.env['IDE_SCREENSHOT']) await page.screenshot({ path: process.env['IDE_SCREENSHOT'] });
      await page.context().close();
      expect(foreign).toEqual([]);
      expect(complaints).toEqual([]);
    },
    300_000,
  );

  drive(
    sentence('takes query and purpose from a link but never a token, and clears the address'),
    async () => {
      const query = encodeURIComponent('query Linked { subject(code: "91310110666007217T") { code } }');
      const page = await open(`#query=${query}&purpose=credit-evaluation&case=${encodeURIComponent('案 1')}&token=from.the.link`);
      expect(await page.getByLabel('令牌').inputValue()).toBe('');
      expect(await page.getByLabel('案号').inputValue()).toBe('案 1');
      await page.locator('#ask-purpose option[value="credit-evaluation"]').waitFor({ state: 'attached' });
      expect(await page.getByLabel('查询用途').inputValue()).toBe('credit-evaluation');
      expect(new URL(page.url()).hash).toBe('');
      await run(page, '91310110666007217T');

      // Without a token nothing is asked in the background: the schema waits until there is a caller.
      expect(asked).toHaveLength(1);
      expect(asked[0]?.operationName).toBe('Linked');
      expect(asked[0]?.headers.authorization).toBeUndefined();
      expect(asked[0]?.headers['x-purpose']).toBe('credit-evaluation');
      const reading = page.waitForRequest((request) => request.postData()?.includes('IntrospectionQuery') === true);
      await page.getByLabel('令牌').fill('header.payload.signature');
      await page.getByLabel('令牌').press('Enter');
      expect((await reading).headers()['authorization']).toBe('Bearer header.payload.signature');
      await page.context().close();
      expect(foreign).toEqual([]);
      expect(complaints).toEqual([]);
    },
    300_000,
  );
});
