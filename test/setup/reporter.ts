/** Ends the output with one line that a machine can read: `N passed, N failed[, N skipped]`, in tests. */

/** What is used of Jest's results. */
export interface Counts {
  numPassedTests: number;
  numFailedTests: number;
  numRuntimeErrorTestSuites: number;
  numPendingTests: number;
  numTodoTests: number;
}

/** Loaded by Jest (jest.config.js) as it stands, so this file holds only what Node runs without a transform. */
export default class CountsReporter {
  onRunComplete(_contexts: unknown, results: Counts): void {
    // Jest's own summary comes after every other reporter, so the line waits for the end of the process.
    process.once('exit', () => process.stdout.write(`${countsLine(results)}\n`));
  }
}

/** A file that could not be run counts as one failed test: its tests are in no other number. */
export function countsLine(results: Counts): string {
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
