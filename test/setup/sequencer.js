import Sequencer from '@jest/test-sequencer';

/** Those that take minutes come first: at the end one of them would run alone. */
const LONG = ['two-worlds', 'faults/'];

/** The order of the test files; loaded by Jest as it stands. */
export default class LongFirst extends (Sequencer.default ?? Sequencer) {
  sort(tests) {
    const rank = ({ path }) => (LONG.some((name) => path.includes(name)) ? 0 : 1);
    return super.sort(tests).sort((a, b) => rank(a) - rank(b));
  }
}
