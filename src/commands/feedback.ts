import { feedbackText, runFeedback } from '../jobs/feedback.ts';
import { unreturnedIssues } from '../store/feedback.ts';
import { type Environment, jobsOf, openRuntime } from './runtime.ts';

/** As many lines as a look at them may print. */
const MOST_SHOWN = 10_000;

/**
 * `hub issues feedback CONNECTOR [--upload]`: what the provider has not been told of refused records yet, as CSV; with `upload` it is sent, and one
 * JSON line a file says under which number the platform keeps it.
 */
export async function feedback(environment: Environment, name: string, options: { upload: boolean }): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const connector = runtime.model.connectors.get(name);
    if (connector === undefined)
      throw new Error(`there is no connector ${name}; the connectors are: ${[...runtime.model.connectors.keys()].join(', ')}`);
    if (!options.upload) {
      process.stdout.write(feedbackText(await unreturnedIssues(runtime.pool, name, MOST_SHOWN)));
      return;
    }
    const sent = await runFeedback(jobsOf(runtime, await runtime.log('feedback')), connector, 'manual');
    if (sent === undefined) throw new Error(`the feedback of ${name} is being sent by another process`);
    for (const file of sent) process.stdout.write(`${JSON.stringify(file)}\n`);
  } finally {
    await runtime.close();
  }
}
