/** A reader of GraphQL over SSE, written from the specification and not from the hub: what arrives, in order, with its ids. */
import type { TestHub } from './hub.ts';

export interface Message {
  id: string | undefined;
  event: string;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of their documents
  data: any;
  codes: string[];
  extensions: Record<string, unknown>;
}

export interface Subscribed {
  status: number;
  type: string;
  messages: Message[];
  /** Comments: signs of life. */
  pings: () => number;
  /** The message at an index, as soon as it is there. */
  at(index: number): Promise<Message>;
  /** Resolves when the other side ends the stream. */
  ended: Promise<void>;
  close(): void;
}

export interface Subscribing {
  url: string;
  headers: Record<string, string>;
  query: string;
  variables?: Record<string, unknown>;
  lastEventId?: string | undefined;
}

export async function subscribe({ url, headers, query, variables, lastEventId }: Subscribing): Promise<Subscribed> {
  const stop = new AbortController();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...headers,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    body: JSON.stringify({ query, variables }),
    signal: stop.signal,
  });
  const messages: Message[] = [];
  const waiting = new Set<() => void>();
  const tell = () => {
    for (const wake of waiting) wake();
  };
  let pings = 0;
  let isOver = false;
  const ended = read(response).finally(() => {
    isOver = true;
    tell();
  });
  async function read({ body }: Response): Promise<void> {
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
          take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } catch {
      // Cut off, by the test or by the hub.
    }
  }
  function take(block: string): void {
    if (block.startsWith(':')) {
      pings += 1;
      return;
    }
    const of = (name: string) =>
      block
        .split('\n')
        .filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).replace(/^ /, ''))
        .join('\n');
    const text = of('data');
    const body = text === '' ? {} : (JSON.parse(text) as Partial<Message> & { errors?: { extensions: { code: string } }[] });
    const errors = 'errors' in body ? (body.errors ?? []) : [];
    messages.push({
      id: of('id') || undefined,
      event: of('event'),
      text,
      data: body.data,
      codes: errors.map((e) => e.extensions.code),
      extensions: body.extensions ?? {},
    });
    tell();
  }
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    messages,
    pings: () => pings,
    async at(index) {
      while (messages[index] === undefined) {
        if (isOver) throw new Error(`the stream ended with ${messages.length} messages: ${messages.map(({ text }) => text).join('\n')}`);
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
      return messages[index] as Message;
    },
    ended,
    close: () => stop.abort(),
  };
}

/** Every change that a list of messages tells, under whatever name its root field has. */
export function changesIn(
  messages: readonly Message[],
): { how: string; id: string; version: number | null; record: Record<string, unknown> | null }[] {
  return messages.flatMap(({ data }) =>
    Object.values((data ?? {}) as Record<string, { changes?: never[] } | null>).flatMap((one) => one?.changes ?? []),
  );
}

/** Resolves when a condition holds; the test's own time limit is its end. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** How a caller of the test hub subscribes: as it asks. */
export async function headersFor(
  hub: TestHub,
  asking: { department?: string; region?: string; purpose?: string; authorization?: string } = {},
): Promise<Record<string, string>> {
  const { department = 'health', region = '430000', purpose = 'credit-evaluation' } = asking;
  return { authorization: asking.authorization ?? `Bearer ${await hub.token({ department, region })}`, 'x-purpose': purpose };
}
