import { lookup } from 'node:dns';
import { Agent, request } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** What became of one attempt: the status, or why there is none. Nothing of what the receiver says is read. */
export type Posted = { status: number } | { failed: string };

/**
 * Sends webhooks to hosts of the allow-list, and to nothing else (SSRF): https alone, no redirect, no proxy, and only to addresses that were looked at
 * when the connection was made, so that a name that changes its address in between reaches nothing.
 */
export interface WebhookSender {
  /** Whether an address may be registered: https, without a user and a fragment, its host on the list. */
  allows(url: string): boolean;
  /** Sends exactly once; never rejects. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<Posted>;
  close(): void;
}

const TIMEOUT_MS = 10_000;
/** What is of no public network: reached only where the list names the network with the host. */
const PRIVATE = blockListOf([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/127',
  '64:ff9b::/96',
  '100::/64',
  '2001:db8::/32',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
]);

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return list;
}

const holds = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/**
 * `hosts`: `hooks.example.gov.cn`, public addresses alone; `hooks.tax.local@10.20.0.0/16`, only addresses of that network. A name with a port allows
 * that port, else 443. `ca`: authorities of the receivers' certificates, PEM; without it those of the system.
 */
export function openWebhookSender({
  hosts,
  ca,
  timeoutMs = TIMEOUT_MS,
}: {
  hosts: readonly string[];
  ca?: string | undefined;
  timeoutMs?: number;
}): WebhookSender {
  const allowed = new Map(
    hosts.map((entry) => {
      const [host = '', network] = entry.split('@');
      return [host.toLowerCase(), network === undefined ? undefined : blockListOf([network])] as const;
    }),
  );
  const agent = new Agent({ keepAlive: false, maxSockets: 16, ...(ca === undefined ? {} : { ca }) });
  const parsed = (text: string): URL | undefined => {
    if (!URL.canParse(text)) return undefined;
    const url = new URL(text);
    const isPlain = url.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
    return isPlain && allowed.has(url.host) ? url : undefined;
  };
  const reachable = (host: string, address: string): boolean => {
    const network = allowed.get(host);
    // An IPv4 address in the clothes of IPv6 is looked at as what it is.
    const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
    return network === undefined ? !holds(PRIVATE, plain) : holds(network, plain);
  };
  const lookupFor =
    (host: string): LookupFunction =>
    (name, options, done) => {
      lookup(name, { ...options, all: true }, (error, found) => {
        if (error) return done(error, '', 0);
        const addresses = found.filter(({ address }) => reachable(host, address));
        const [first] = addresses;
        if (first === undefined || addresses.length < found.length)
          return done(Object.assign(new Error('an address outside the allow-list'), { code: 'ADDRESS_DENIED' }), '', 0);
        return options.all ? done(null, addresses) : done(null, first.address, first.family);
      });
    };

  return {
    allows: (url) => parsed(url) !== undefined,
    async post(text, headers, body) {
      const url = parsed(text);
      if (url === undefined) return { failed: 'HOST_DENIED' };
      const bare = url.hostname.replace(/^\[(.*)\]$/, '$1');
      // An address instead of a name is never looked up.
      if (isIP(bare) !== 0 && !reachable(url.host, bare)) return { failed: 'ADDRESS_DENIED' };
      return new Promise<Posted>((resolve) => {
        const outgoing = request(
          url,
          {
            method: 'POST',
            agent,
            headers: { ...headers, 'content-length': Buffer.byteLength(body) },
            lookup: lookupFor(url.host),
            signal: AbortSignal.timeout(timeoutMs),
          },
          (answer) => {
            resolve({ status: answer.statusCode ?? 0 });
            answer.destroy();
          },
        );
        outgoing.on('error', (error: NodeJS.ErrnoException) =>
          resolve({ failed: error.name === 'AbortError' || error.name === 'TimeoutError' ? 'TIMEOUT' : (error.code ?? 'FAILED') }),
        );
        outgoing.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}
