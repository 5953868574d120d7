/** Plain HTTP for the tests of the sandbox, as an integrator would speak it. */

export type Body = Record<string, unknown>;
export interface Reply {
  status: number;
  body: Body;
}

/** POST with a JSON body; the answer must be JSON too. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Body };
}

/** The value at a dotted path. */
export function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inside, key) => (inside as Body | undefined)?.[key], value);
}
