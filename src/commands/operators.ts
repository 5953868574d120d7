import type { Command } from 'commander';
import { ACTS, operate, type Operator, showPlatforms } from './operate.ts';
import { handleLetter, LETTER_ACTS, listWaiting } from './outbox.ts';
import type { Environment } from './runtime.ts';

/** The commands of those who operate the platforms and see to what waits in the outbox: each says who acts and why. */
export function operatorCommands(
  program: Command,
  environment: Environment,
  print: (text: string) => void,
  wholeNumber: (text: string) => number,
): void {
  const platforms = program.command('platforms').description('how the platforms are used, and what an operator does about it');
  const operator = (command: Command) =>
    command
      .requiredOption('--by <id>', 'id of the person who does it; it is logged')
      .requiredOption('--name <name>', 'name of that person')
      .requiredOption('--reason <text>', 'why')
      .option('--json', 'one JSON line a platform');
  operator(platforms.command('status').argument('[connector]', 'only this one'))
    .description('platforms and their streams: state, next run, breaker, budget, outbox')
    .action((connector: string | undefined, options: Operator & { json?: boolean }) =>
      showPlatforms(environment, connector, options, print),
    );
  const DOES: Readonly<Record<(typeof ACTS)[number], string>> = {
    pause: 'let no run of a platform or stream begin',
    resume: 'end a pause',
    run: 'run a stream as soon as a worker hears of it, within its hours and budget',
    backfill: 'read a stream again from a day on',
    reset: 'take a platform whose breaker is open to be back',
  };
  for (const act of ACTS) {
    const command = operator(platforms.command(act).argument('<name>', 'a connector, or connector/stream')).description(DOES[act]);
    if (act === 'backfill') command.requiredOption('--from <day>', 'YYYY-MM-DD');
    command.action((name: string, options: Operator & { from?: string; json?: boolean }) =>
      operate(environment, act, name, options, print),
    );
  }

  const letters = program.command('outbox').description('what was to be told to a platform and waits for a person');
  const LISTS = {
    list: 'refused, withheld and doubtful rows',
    deadlines: 'publications that are due, with the working days left',
  } as const;
  for (const what of ['list', 'deadlines'] as const)
    operator(letters.command(what))
      .description(`${LISTS[what]}, as JSON lines`)
      .action((options: Operator) => listWaiting(environment, what, options, print));
  for (const act of LETTER_ACTS) {
    const command = operator(letters.command(act).argument('<id>', 'row of the outbox', wholeNumber)).description(
      `${act} a row; see the README`,
    );
    if (act === 'arrived') command.requiredOption('--receipt <number>', 'number of the receipt that the platform gave');
    command.action((id: number, options: Operator & { receipt?: string }) => handleLetter(environment, act, id, options, print));
  }
}
