import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';

/**
 * Tells the editors that full-width punctuation is ordinary text: Monaco frames （ ） ， ： next to Latin letters as look-alikes, which in
 * Chinese answers is every second line. Invisible characters stay marked. Rendered inside GraphiQL, where its store is found.
 */
export function Legible(): null {
  const editors = useGraphiQL(({ queryEditor, variableEditor, responseEditor }) => ({ queryEditor, variableEditor, responseEditor }));
  useEffect(() => {
    for (const editor of Object.values(editors)) editor?.updateOptions({ unicodeHighlight: { ambiguousCharacters: false } });
  }, [editors]);
  return null;
}
