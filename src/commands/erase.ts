import type { LogEntry } from '../log/entry.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { dueErasures, eraseDue } from '../store/erasure.ts';
import { type Environment, openRuntime, type Runtime } from './runtime.ts';

/**
 * `hub erase`: carries out the erasures that two people approved and whose legal term is over (PIPL 47). Each is in the query log before it is done,
 * under the person who approved it; without the log nothing is erased. Prints how many.
 */
export async function erase(environment: Environment, print: (text: string) => void): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const today = dayInShanghai(new Date());
    const due = await dueErasures(runtime.pool, today);
    let erased = 0;
    const log = due.length === 0 ? undefined : await runtime.log('erase');
    for (const one of due) {
      await log?.append(entryOf(runtime, one));
      if (await eraseDue(runtime.pool, runtime.model, one.id, today)) erased += 1;
    }
    print(JSON.stringify({ due: due.length, erased }));
  } finally {
    await runtime.close();
  }
}

function entryOf({ keys, model }: Runtime, due: Awaited<ReturnType<typeof dueErasures>>[number]): LogEntry {
  return {
    kind: 'admin',
    person: due.reviewer,
    department: due.department,
    role: 'scheduled-job',
    region: null,
    actingFor: null,
    purpose: { code: 'erasure', basis: due.basis, case: null },
    operation: 'hub erase',
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: [keys.logToken('log-subject', String(due.subjectId))],
    rows: 0,
    policy: model.version,
    rules: [],
    outcome: 'answered',
    code: '',
    durationMs: 0,
    client: '',
  };
}
