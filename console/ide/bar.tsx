import { useState } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import type { Outcome } from './answer.ts';
import type { Asking, PurposeCode } from './purpose.ts';

interface BarProps {
  asking: Asking;
  codes: PurposeCode[];
  outcome: Outcome | undefined;
  /** Called at every keystroke. */
  onChange(asking: Asking): void;
  /** Called when a field is finished (left, chosen or Enter): the moment to read the schema again. */
  onCommit(asking: Asking): void;
}

const OTHER = '*';

/** The slim bar above the editor: who asks, why, and what became of the last query. */
export function Bar({ asking, codes, outcome, onChange, onCommit }: BarProps): ReactNode {
  const [other, setOther] = useState(false);
  const known = codes.find(({ code }) => code === asking.purpose);
  const free = codes.length === 0 || other || (asking.purpose !== '' && !known);

  const input = (name: keyof Asking, placeholder: string, type = 'text'): ReactNode => (
    <input
      id={`ask-${name}`}
      type={type}
      value={asking[name]}
      placeholder={placeholder}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange({ ...asking, [name]: event.target.value })}
      onBlur={() => onCommit(asking)}
      onKeyDown={(event: KeyboardEvent) => event.key === 'Enter' && onCommit(asking)}
    />
  );

  const choose = (value: string): void => {
    setOther(value === OTHER);
    const chosen = { ...asking, purpose: value === OTHER ? '' : value };
    onChange(chosen);
    onCommit(chosen);
  };

  return (
    <header className="bar">
      <h1>
        信用信息查询台<small>GraphQL IDE</small>
      </h1>
      <Field name="token" zh="令牌" en="Token">
        {input('token', '粘贴访问令牌', 'password')}
      </Field>
      <Field name="purpose" zh="查询用途" en="Purpose" wide>
        {codes.length > 0 && (
          <select
            id={free ? undefined : 'ask-purpose'}
            aria-label={free ? '查询用途列表 Purpose list' : undefined}
            value={free ? OTHER : asking.purpose}
            title={known && `${known.en} · ${known.article}`}
            onChange={(event) => choose(event.target.value)}
          >
            <option value="">请选择查询用途…</option>
            {codes.map(({ code, zh, en, article }) => (
              <option key={code} value={code} title={`${en} · ${article}`}>
                {zh} · {code}
              </option>
            ))}
            <option value={OTHER}>其他代码 Other…</option>
          </select>
        )}
        {free && input('purpose', '用途代码 code')}
      </Field>
      <Field name="basis" zh="依据" en="Basis">
        {input('basis', known?.article || '法律依据或文件条款')}
      </Field>
      <Field name="case" zh="案号" en="Case">
        {input('case', '办理事项或案件编号')}
      </Field>
      <Result outcome={outcome} />
    </header>
  );
}

function Field({ name, zh, en, wide, children }: { name: string; zh: string; en: string; wide?: boolean; children: ReactNode }): ReactNode {
  return (
    <div className={wide ? 'field wide' : 'field'}>
      <label htmlFor={`ask-${name}`}>
        {zh} <small>{en}</small>
      </label>
      <div className="inputs">{children}</div>
    </div>
  );
}

function Result({ outcome }: { outcome: Outcome | undefined }): ReactNode {
  return (
    <div className="result" role="status" aria-live="polite">
      <div>
        日志回执 <small>Receipt</small> <code title={outcome?.hash}>{outcome?.receipt ?? '—'}</code>
      </div>
      <div className="counts">
        <Count zh="脱敏" en="Masked" value={outcome?.masked} tone="masked" />
        <Count zh="不予提供" en="Denied" value={outcome?.denied} tone="denied" />
        <Count zh="错误" en="Errors" value={outcome?.errors} tone="denied" />
      </div>
    </div>
  );
}

function Count({ zh, en, value, tone }: { zh: string; en: string; value: number | undefined; tone: string }): ReactNode {
  return (
    <span className={value ? tone : undefined} title={en}>
      {zh} <b>{value ?? '—'}</b>
    </span>
  );
}
