/** Codes that say "PostgreSQL cannot be used just now", whatever was asked of it; 57014 is a statement that ran out of its time. */
const SQLSTATES = /^(08...|53...|57014|57P0.|25006)$/;
const SOCKET = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const MESSAGES = /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Client (was closed|has encountered))/;

/**
 * Whether an error tells that PostgreSQL is gone, going, full or read-only, so that the same call may work later. Says nothing about what became
 * of the statement: a connection lost during COMMIT may have committed. Looks through `cause`, so wrapped driver errors are recognised too.
 */
export function isUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message, cause } = error as { code?: unknown; message?: unknown; cause?: unknown };
  if (typeof code === 'string' && (SQLSTATES.test(code) || SOCKET.has(code))) return true;
  return (typeof message === 'string' && MESSAGES.test(message)) || isUnavailable(cause);
}
