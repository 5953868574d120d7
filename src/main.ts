import 'reflect-metadata';
import { Command, InvalidArgumentError, Option } from 'commander';
import { demo } from './commands/demo.ts';
import { feedback } from './commands/feedback.ts';
import { listDocuments, registerDocument, withdrawDocument } from './commands/documents.ts';
import { erase } from './commands/erase.ts';
import { generate } from './commands/generate.ts';
import { health } from './commands/health.ts';
import { identify } from './commands/identify.ts';
import { checkArchive, logStatus, receipt, verifyStored } from './commands/log-check.ts';
import { approvePruning, pruneLog } from './commands/log-prune.ts';
import { newLogKey, sealLog } from './commands/log-seal.ts';
import { explainField, minimisePolicies, type Reader, replayPolicies } from './commands/policy.ts';
import { operatorCommands } from './commands/operators.ts';
import { reconcile, type ReconcileCommand } from './commands/reconcile.ts';
import { reseal, retire, rotate, status } from './commands/keys.ts';
import { logAlarms, type LogReader, logSearch, type LogSearchCommand } from './commands/log.ts';
import { FAULT_HELP, sandbox, type SandboxCommand } from './commands/sandbox.ts';
import { serve, work } from './commands/services.ts';
import { sync, type SyncCommand } from './commands/sync.ts';
import { token } from './commands/token.ts';
import { witness, type WitnessCommand } from './commands/witness.ts';
import { readConfig } from './config.ts';
import { BadModel } from './errors.ts';
import { environmentTable, type Language } from './model/environment.ts';
import { loadModel } from './model/load.ts';
import { newKeyRing } from './store/keys.ts';
import { migrate } from './store/migrate.ts';
import type { KeyUse } from './store/ring.ts';
import type { SignatureAlgorithm } from './store/signing.ts';
import type { SuiteName } from './store/suite.ts';

/** The command line: the only place where the parts of the hub are put together. Every command is a short function of `commands/`. */
const program = new Command('hub').description('Medical-insurance credit information hub').showHelpAfterError();
const environment = process.env;
const print = (text: string) => void process.stdout.write(`${text}\n`);

program
  .command('demo')
  .description('embedded PostgreSQL, sandboxes of the platforms, a first sync, API and IDE; --once prints one JSON object and ends')
  .option('--once', 'sync, push, ask as three departments, print the result and exit')
  .action((options: { once?: boolean }) => demo(environment, { once: options.once ?? false }));

program
  .command('serve')
  .description('the API')
  .action(() => serve(environment));
program
  .command('work')
  .description('the worker: schedules and runs the streams')
  .action(() => work(environment));

program
  .command('migrate')
  .description('bring the database to the schema of this version')
  .action(async () => {
    const { databaseUrl } = readConfig(environment);
    if (databaseUrl === undefined) throw new Error('DATABASE_URL is not set');
    const done = await migrate(databaseUrl);
    print(done.length === 0 ? 'the database is up to date' : `done: ${done.join(', ')}`);
  });

program
  .command('sandbox')
  .description('the platforms for integrators: prints the variables to export and runs until Ctrl-C')
  .option('--seed <number>', 'seed of the data and of the faults', wholeNumber, 7)
  .option('--port-base <port>', 'first of two ports; 0: free ones', wholeNumber, 0)
  .option('--slow <ms>', 'every HTTP call waits this long', wholeNumber, 0)
  .option('--faults <plan>', FAULT_HELP)
  .action((options: SandboxCommand) => sandbox(environment, options));

program
  .command('sync')
  .argument('<connector/stream>', 'e.g. credit-china/penalties')
  .option('--file <path>', 'a CSV file with a header row instead of the platform (UTF-8 or GB18030)')
  .option('--keys-stdin', 'ask about those whom the lines of standard input name: number, tab, name')
  .description('run one stream once in this process and print its counts')
  .action((name: string, options: SyncCommand) => sync(environment, name, options, process.stdin));

program
  .command('reconcile')
  .argument('<connector/stream>', 'e.g. credit-china/penalties')
  .option('--day <day>', 'only this day of the platform, YYYY-MM-DD')
  .option('--fix', 'read, or send, exactly what differs again, and compare once more')
  .option('--json', 'one JSON object')
  .description('compare a stream with its platform; exit code 1 when they differ, 2 when nothing is proved')
  .action(async (name: string, options: ReconcileCommand) => {
    process.exitCode = await reconcile(environment, name, options, print);
  });

program
  .command('token')
  .description('a token of the local development key')
  .requiredOption('--department <code>', 'a code of schema/codes/departments.yml')
  .requiredOption('--name <name>', 'name of the person who asks')
  .option('--id <id>', 'id of the person', 'dev-0001')
  .option('--purpose <code...>', 'restrict the token to these purposes', [])
  .option('--region <code>', 'region of the caller', '430000')
  .option('--role <role>', 'role', 'officer')
  .option('--expires <seconds>', 'life of the token', wholeNumber, 3600)
  .action((options: Parameters<typeof token>[1]) => token(environment, options));

program
  .command('erase')
  .description('carry out the erasures that were approved and whose legal term is over')
  .action(() => erase(environment, print));

const log = program.command('log').description('the query log');
log
  .command('verify')
  .description('check entries, checkpoints and signatures; exit code 1 when a fault is found')
  .option('--witness <place>', 'address or folder of the witness, instead of HUB_WITNESS_URL')
  .action((options: { witness?: string }) => verifyStored(environment, options));
log
  .command('seal')
  .description('seal the log and give its checkpoints to the witness, until stopped')
  .action(() => sealLog(environment));
log
  .command('receipt')
  .argument('<file>', 'a receipt as JSON, - for standard input')
  .option('--proof <file>', 'check against this proof instead of the log')
  .option('--save <file>', 'write the proof that the entry is sealed')
  .description('check the receipt of an answer; exit code 1 when it does not hold')
  .action((file: string, options: { proof?: string; save?: string }) => receipt(environment, file, options));
log
  .command('status')
  .description('how far the log is sealed and witnessed')
  .action(() => logStatus(environment));
log
  .command('key')
  .argument('<file>', 'where the private key goes; the public one goes beside it, with .pub')
  .description('make a signing key for the log: one for HUB_SEAL_KEY, another for HUB_RECEIPT_KEY')
  .addOption(new Option('--algorithm <algorithm>', 'algorithm of the key').choices(['ed25519', 'sm2']).default('ed25519'))
  .action((file: string, { algorithm }: { algorithm: SignatureAlgorithm }) => newLogKey(file, algorithm));
const reader = (command: Command) =>
  command
    .requiredOption('--by <id>', 'id of the person who reads; it is logged')
    .requiredOption('--name <name>', 'name of that person')
    .requiredOption('--reason <text>', 'why');
reader(log.command('search'))
  .description('entries of the query log as JSON lines, newest first; the search is itself logged')
  .option('--person <id>', 'who asked')
  .option('--department <code>', 'department')
  .option('--purpose <code>', 'purpose')
  .option('--kind <kind>', 'kind of entry')
  .option('--outcome <outcome>', 'outcome')
  .option('--from <instant>', 'from this instant on, ISO 8601')
  .option('--to <instant>', 'before this instant')
  .option('--first <number>', 'most entries', wholeNumber, 50)
  .option('--subject-stdin', 'entries about the subject whose statutory code stands on standard input')
  .action((options: LogSearchCommand) => logSearch(environment, options, process.stdin, print));
reader(log.command('alarms'))
  .description('count the query log for alarms on misuse and print those that are open, as JSON lines')
  .action((options: LogReader) => logAlarms(environment, options, print));

log
  .command('prune')
  .requiredOption('--before <month>', 'every month before this one, YYYY-MM')
  .requiredOption('--archive <folder>', 'where the archives are written, or were')
  .option(
    '--approval <file>',
    'approval of an officer; two are needed',
    (file: string, files: string[]) => [...files, file],
    [] as string[],
  )
  .description('take old months out of the log: archives and a statement first, then, with two approvals, the months')
  .action((options: { before: string; archive: string; approval: string[] }) => pruneLog(environment, options));
log
  .command('approve')
  .argument('<file>', 'the statement')
  .requiredOption('--officer <id>', 'who approves, as in HUB_LOG_OFFICERS')
  .requiredOption('--key <file>', 'private key of that officer')
  .description('approve that the months of a statement are taken out of the log')
  .action((file: string, options: { officer: string; key: string }) => approvePruning(file, options));
log
  .command('archive')
  .argument('<file>', 'query_log_YYYY_MM.jsonl.gz')
  .description('check an archive of the log with public keys alone')
  .action((file: string) => checkArchive(environment, file));

program
  .command('witness')
  .description('keep the checkpoints of a hub for somebody else; needs HUB_LOG_PUBLIC_KEYS and nothing else of the hub')
  .requiredOption('--folder <path>', 'folder of its own')
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--port <port>', 'port to listen on', wholeNumber, 4200)
  .action((options: WitnessCommand) => witness(environment, options));

const documents = program.command('documents').description('the documents that may be asked where only registered ones may');
const registrar = (command: Command) =>
  command.requiredOption('--id <id>', 'id of the person who does it; it is logged').requiredOption('--name <name>', 'name of that person');
registrar(documents.command('register'))
  .argument('<file>', 'a GraphQL document')
  .description('register a document for a department and a purpose; prints its SHA-256')
  .requiredOption('--department <code>', 'a code of schema/codes/departments.yml')
  .requiredOption('--purpose <code>', 'a code of schema/codes/purposes.yml')
  .option('--role <role>', 'only this role of the department', '')
  .option('--region <code>', 'region of those who will ask', '430000')
  .option('--operation <name>', 'which operation of the document', '')
  .action((file: string, options: Parameters<typeof registerDocument>[2]) => registerDocument(environment, file, options, print));
registrar(documents.command('list'))
  .description('the registered documents as JSON lines')
  .action((options: Reader) => listDocuments(environment, options, print));
registrar(documents.command('withdraw'))
  .argument('<hash>', 'SHA-256 of the document')
  .requiredOption('--department <code>', 'the department that it is taken from')
  .description('take a document from a department')
  .action((hash: string, options: Reader & { department: string }) => withdrawDocument(environment, hash, options));

const policy = program.command('policy').description('what the policies give, gave, and need not give');
policy
  .command('explain')
  .description('may this caller see a field for a purpose, and by which rule; reads no data')
  .requiredOption('--department <code>', 'a code of schema/codes/departments.yml')
  .requiredOption('--purpose <code>', 'a code of schema/codes/purposes.yml')
  .requiredOption('--coordinate <Type.field>', 'e.g. Person.name')
  .option('--role <role>', 'role', 'officer')
  .option('--region <code>', 'region of the caller', '430000')
  .action((options: Parameters<typeof explainField>[1]) => explainField(environment, options));
policy
  .command('replay')
  .description('decide logged queries again by changed policies and print the exact difference (U4)')
  .requiredOption('--schema <folder>', 'folder of the changed schema')
  .requiredOption('--from <day>', 'first day, YYYY-MM-DD')
  .requiredOption('--to <day>', 'last day, YYYY-MM-DD')
  .requiredOption('--id <id>', 'id of the person who reads the log')
  .requiredOption('--name <name>', 'name of the person who reads the log')
  .action((options: Parameters<typeof replayPolicies>[1]) => replayPolicies(environment, options));
policy
  .command('minimise')
  .description('fields that departments may read and have not read (U7)')
  .option('--days <number>', 'days looked back', wholeNumber, 180)
  .requiredOption('--id <id>', 'id of the person who reads the log')
  .requiredOption('--name <name>', 'name of the person who reads the log')
  .action((options: Parameters<typeof minimisePolicies>[1]) => minimisePolicies(environment, options));

operatorCommands(program, environment, print, wholeNumber);

const model = program.command('model').description('catalog, codes, connectors and policies');
model
  .command('check')
  .description('check schema/ and print every fault; exit code 1 when there is one')
  .action(() => {
    const loaded = loadModel(readConfig(environment).schema);
    const streams = [...loaded.connectors.values()].reduce((sum, c) => sum + c.streams.size, 0);
    print(
      `model ${loaded.version}: ${loaded.categories.size} categories, ${loaded.codes.size} code sets, ${loaded.connectors.size} connectors, ${streams} streams, ${loaded.rules.length} rules`,
    );
  });

const issues = program.command('issues').description('refused records');
issues
  .command('feedback')
  .argument('<connector>', 'e.g. national-insurance')
  .option('--upload', 'send it to the platform instead of printing it')
  .description('what the provider has not been told of its refused records yet, as CSV')
  .action((name: string, options: { upload?: boolean }) => feedback(environment, name, { upload: options.upload ?? false }));

program
  .command('identify')
  .description('tell what the codes on standard input are, one JSON line per line')
  .action(() => identify(process.stdin, process.stdout, new Date()));

const keys = program
  .command('keys')
  .description('make a key ring for HUB_KEYS')
  .addOption(new Option('--suite <suite>', 'algorithms of the deployment').choices(['international', 'national']).default('international'))
  .action(({ suite }: { suite: SuiteName }) => print(newKeyRing(suite)));
keys
  .command('rotate')
  .description('add a key to the ring; values that are there already stay under theirs until `keys reseal`')
  .addOption(new Option('--of <use>', 'what the key is for').choices(['seal', 'blind', 'log']).default('seal'))
  .option('--prepare', 'only make the sealing key known: the next `rotate` puts it to use')
  .action(({ of, prepare }: { of: KeyUse; prepare?: boolean }) => rotate(environment, of, prepare ?? false, print));
keys
  .command('reseal')
  .description('bring old values under the newest key and the blind index on, while the hub runs')
  .action(() => reseal(environment, print));
keys
  .command('retire')
  .argument('<id>', 'e.g. k1 or b1')
  .description('end the use of a key that a newer one has replaced everywhere')
  .action((id: string) => retire(environment, id, print));
keys
  .command('status')
  .description('the keys by id and how many values lie under each')
  .action(() => status(environment, print));

program
  .command('health')
  .description('ask the API or worker at HUB_HOST and HUB_PORT whether it is ready; exit code 1 when it is not')
  .action(async () => {
    if (!(await health(environment))) process.exitCode = 1;
  });

program
  .command('generate')
  .description('write what is generated from schema/: the SDL, the key reference, the catalog page, the tables of the README')
  .option('--check', 'write nothing; exit code 1 when a file is stale')
  .action((options: { check?: boolean }) => generate(readConfig(environment).schema, options.check ?? false));

program
  .command('config')
  .description('the environment variables, as the table of the README')
  .addOption(new Option('--language <language>', 'language of the table').choices(['en', 'zh']).default('en'))
  .action((options: { language: Language }) => print(environmentTable(loadModel(readConfig(environment).schema), options.language)));

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('must be a whole number');
  return value;
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof BadModel || error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
