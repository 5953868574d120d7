import { CONFIG } from '../config.ts';
import { table } from './reference.ts';
import type { Model } from './types.ts';

export type Language = 'en' | 'zh';

const WORDS = {
  en: { head: ['variable', 'default', 'meaning'], or: 'or', colon: ': ', secret: ' (secret)' },
  zh: { head: ['变量', '默认值', '含义'], or: '或', colon: '：', secret: '（保密）' },
} as const;

/** Every environment variable as a Markdown table: those of the hub, then those that the connectors' settings name. */
export function environmentTable(model: Model, language: Language): string {
  const { head, or, colon, secret } = WORDS[language];
  const code = (text: string | undefined) => (text === undefined ? '' : `\`${text}\``);
  const hub = CONFIG.map((v) => [v.file ? `\`${v.name}\` (${or} \`${v.name}_FILE\`)` : code(v.name), code(v.default), v[language]]);
  const platforms = [...model.connectors.values()].flatMap((connector) =>
    [...connector.settings].map(([name, s]) => [
      code(s.env),
      code(s.default),
      `${connector[language]}${colon}\`${name}\`${s.secret ? secret : ''}`,
    ]),
  );
  return table(head, [...hub, ...platforms]);
}
