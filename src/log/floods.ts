import type { LogEntry } from './entry.ts';
import type { QueryLog, Receipt } from './writer.ts';

/** Refusals of one kind, of one person, in one span of time: the first has an entry of its own, the others are counted in a second one. */
export interface Floods {
  /**
   * The receipt of the entry that tells of this refusal: its own, or that of the first one of the span, which is durable. MUST be used only for
   * refusals that read nothing and say nothing of data. Rejects like `append`.
   */
  append(entry: LogEntry): Promise<Receipt>;
  /** Writes what is counted and not yet written. */
  flush(): Promise<void>;
}

interface Span {
  first: Promise<Receipt>;
  entry: LogEntry;
  /** Refusals after the first one. */
  more: number;
  timer: NodeJS.Timeout;
}

const SPAN_MS = 10_000;
/** Spans open at once; a refusal beyond that has an entry of its own. */
const OPEN = 10_000;

/**
 * A caller who goes on asking after it was told to wait must not fill the log, and none of its requests may be missing in it: within ten seconds
 * the refusals that differ in nothing but their time become two entries, the second with their number as `{"times":n}` in its variables. What a
 * killed process had counted and not written is the number, never the fact. `spanMs`: for tests.
 */
export function openFloods(log: QueryLog, onError: (error: unknown) => void, spanMs = SPAN_MS): Floods {
  const spans = new Map<string, Span>();

  async function close(key: string, span: Span): Promise<void> {
    clearTimeout(span.timer);
    spans.delete(key);
    if (span.more === 0) return;
    try {
      await log.append({ ...span.entry, variables: JSON.stringify({ times: span.more }) });
    } catch (error) {
      onError(error);
    }
  }

  return {
    append(entry) {
      const { person, department, role, purpose, client, outcome, code } = entry;
      const key = JSON.stringify([person, department, role, purpose, client, outcome, code]);
      const open = spans.get(key);
      if (open) {
        open.more += 1;
        return open.first;
      }
      if (spans.size >= OPEN) return log.append(entry);
      const first = log.append(entry);
      const span: Span = { first, entry, more: 0, timer: setTimeout(() => void close(key, span), spanMs) };
      span.timer.unref();
      spans.set(key, span);
      // Without its first entry the span is none: the next refusal tries again.
      first.catch(() => {
        clearTimeout(span.timer);
        spans.delete(key);
      });
      return first;
    },
    async flush() {
      await Promise.all([...spans].map(([key, span]) => close(key, span)));
    },
  };
}
