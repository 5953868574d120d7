import type { Fetcher } from '@graphiql/toolkit';
import { outcomeOf } from './answer.ts';
import type { Outcome } from './answer.ts';
import { headersFor } from './purpose.ts';
import type { Asking } from './purpose.ts';

/**
 * GraphiQL's way to the hub: `POST /graphql` of this origin, with the bar's headers. They win over the editor's own headers, so that
 * what the bar shows is what is sent. `asking` is read at the time of each request. `tell` gets the outcome of every query except
 * GraphiQL's own reading of the schema, which waits for a token: each query is logged, and one without a caller says nothing.
 * A redirect is an error: the token must not follow it to another host.
 */
export function hubFetcher(asking: () => Asking, tell: (outcome: Outcome) => void): Fetcher {
  return async (params, options) => {
    const now = asking();
    const introspecting = params.operationName === 'IntrospectionQuery';
    if (introspecting && !now.token.trim()) throw new Error('填写令牌后读取数据结构。Fill in a token to load the schema.');
    const headers = new Headers(options?.headers);
    headers.set('Content-Type', 'application/json');
    headers.set('Accept', 'application/graphql-response+json, application/json');
    for (const [name, value] of Object.entries(headersFor(now))) headers.set(name, value);
    const response = await fetch('/graphql', {
      method: 'POST',
      headers,
      body: JSON.stringify(params),
      cache: 'no-store',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
    const answer = await answerOf(response);
    if (!introspecting) tell(outcomeOf(answer));
    return answer;
  };
}

/** The JSON answer; anything else (a proxy's error page) becomes a GraphQL error that names the status. */
async function answerOf(response: Response): Promise<{ data?: unknown; errors?: unknown[] }> {
  const text = await response.text();
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === 'object' && answer !== null) return answer;
  } catch {
    // Not JSON: reported below like any other answer that is not an object.
  }
  const message = `服务器返回了无法识别的答复（HTTP ${response.status}）。The server's answer is not JSON.`;
  return { errors: [{ message, extensions: { code: `HTTP_${response.status}` } }] };
}
