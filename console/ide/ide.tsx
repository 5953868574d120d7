import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import type { Outcome } from './answer.ts';
import { Bar } from './bar.tsx';
import { EXAMPLE } from './example.ts';
import { hubFetcher } from './fetcher.ts';
import { Legible } from './legible.tsx';
import { purposeCodes, remember } from './purpose.ts';
import type { Asking, PurposeCode } from './purpose.ts';

/**
 * The bar and GraphiQL below it. GraphiQL keeps tabs and history in `sessionStorage` too: queries may hold the codes of persons.
 * A new token or purpose makes a new fetcher, which is how GraphiQL is told to read the schema again: it differs by caller and purpose.
 */
export function Ide({ start, query }: { start: Asking; query: string | undefined }): ReactNode {
  const [asking, setAsking] = useState(start);
  const [committed, setCommitted] = useState(start);
  const [codes, setCodes] = useState<PurposeCode[]>([]);
  const [outcome, setOutcome] = useState<Outcome>();
  const latest = useRef(start);

  useEffect(() => void purposeCodes().then(setCodes), []);
  const { token, purpose } = committed;
  // Token and purpose are the reason for a new fetcher, not its input: it reads the latest values itself.
  const fetcher = useMemo(() => hubFetcher(() => latest.current, setOutcome), [token, purpose]);

  const change = (next: Asking): void => {
    latest.current = next;
    remember(next);
    setAsking(next);
  };

  return (
    <>
      <Bar asking={asking} codes={codes} outcome={outcome} onChange={change} onCommit={setCommitted} />
      <main>
        <GraphiQL
          fetcher={fetcher}
          storage={sessionStorage}
          defaultQuery={EXAMPLE}
          {...(query === undefined ? {} : { initialQuery: query })}
          defaultEditorToolsVisibility={false}
          showPersistHeadersSettings={false}
          forcedTheme="light"
        >
          <GraphiQL.Logo>
            <span className="host">/graphql</span>
          </GraphiQL.Logo>
          <Legible />
        </GraphiQL>
      </main>
    </>
  );
}
