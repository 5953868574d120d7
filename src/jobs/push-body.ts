import type { Grant } from '../access/decide.ts';
import { decide } from '../access/decide.ts';
import type { PushItem } from '../connectors/contract.ts';
import { Refused, RejectRecord, StopStream } from '../errors.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { compilePublication, compileRecall } from '../mapping/publish.ts';
import { decisionMark } from '../mapping/marks.ts';
import type { Model, PushStream } from '../model/types.ts';
import { openReader } from '../store/reader.ts';
import type { OutboxRow, Settled } from '../store/sending.ts';
import { jobEntry } from './entry.ts';
import { connectorOf, type Jobs } from './hub.ts';

/** The key of a version never changes, so that sending it again cannot have a second effect; taking it back has a key of its own. */
export function keyOf({ recordId, version, act }: Pick<OutboxRow, 'recordId' | 'version' | 'act'>): string {
  return act === 'recall' ? `${recordId}:${version}:recall` : `${recordId}:${version}`;
}

export interface PublicationOf {
  /** The bodies as the receiver may have them, and the rows that it may not have. */
  prepare(rows: readonly OutboxRow[]): Promise<{ items: Map<OutboxRow, PushItem>; withheld: Settled[] }>;
}

/** Makes the bodies of a push stream. They are in the query log before they leave: no log, no push. A recall holds nothing of a record. */
export function openPublication(jobs: Jobs, stream: PushStream): PublicationOf {
  const body = compilePublication(stream.publish);
  const recallBody = compileRecall(stream.publish.recall);
  const itemOf = (row: OutboxRow, content: PushItem['body']): PushItem => ({
    key: keyOf(row),
    act: row.act,
    subject: String(row.subjectId),
    body: content,
  });

  function recallOf(row: OutboxRow): PushItem {
    const recalled = {
      key: keyOf(row),
      published: keyOf({ ...row, act: 'publish' }),
      receipt: row.received,
      cause: row.cause ?? '',
      day: row.createdOn,
      mark: row.decided === null ? null : decisionMark(row.decided.on, row.decided.cause),
    };
    return itemOf(row, recallBody(recalled));
  }

  return {
    async prepare(rows) {
      const items = new Map<OutboxRow, PushItem>();
      const withheld: Settled[] = [];
      const published = rows.filter((row) => row.act === 'publish');
      const grant = published.length === 0 ? undefined : grantOf(jobs.model, stream, dayInShanghai(jobs.now()));
      const reader = grant && openReader(jobs.pool, jobs.keys, jobs.model, grant);
      const found = reader === undefined ? [] : await reader.pushable(published);
      const records = new Map(found.map((record) => [`${record.recordId}:${record.version}`, record]));
      for (const row of rows) {
        try {
          const record = records.get(keyOf(row));
          if (row.act === 'recall') items.set(row, recallOf(row));
          else if (record === undefined) withheld.push({ id: row.id, state: 'withheld', reason: '接收方无权接收该记录' });
          else items.set(row, itemOf(row, body({ ...record, key: keyOf(row) })));
        } catch (error) {
          if (!(error instanceof RejectRecord)) throw error;
          withheld.push({ id: row.id, state: 'withheld', reason: error.message });
        }
      }
      const decisions = [...(grant?.decisions.values() ?? [])];
      await jobs.log.append(
        jobEntry(jobs, 'push', connectorOf(jobs.model, stream.connector), stream, {
          rows: items.size,
          outcome: 'answered',
          code: '',
          fields: [...(reader?.shown.coordinates ?? [])].sort(),
          masked: decisions.filter((d) => d.access === 'mask').map((d) => d.coordinate),
          denied: decisions.filter((d) => d.access === 'deny').map((d) => d.coordinate),
          subjects: [...(reader?.shown.subjects ?? [])].map((id) => jobs.keys.logToken('log-subject', String(id))),
          rules: grant?.rules ?? [],
        }),
      );
      return { items, withheld };
    },
  };
}

/**
 * The decision for a push: the receiving platform asks for exactly the fields of the body, for the purpose of the publication. StopStream: no
 * policy gives the receiver anything for it.
 */
export function grantOf(model: Model, stream: PushStream, today: string): Grant {
  const { publish } = stream;
  const connector = connectorOf(model, stream.connector);
  const receiver = {
    id: connector.officer.id,
    name: connector.officer.name,
    department: publish.receiver,
    role: 'platform',
    region: '',
    actingFor: connector.id,
    purposes: undefined,
  };
  const type = model.categories.get(publish.category)?.type ?? '';
  const selected = new Set<string>();
  for (const source of publish.body.values()) {
    if ('literal' in source || source.of.startsWith('record.')) continue;
    if (!source.of.startsWith('subject.')) selected.add(`${type}.${source.of}`);
    else
      for (const subject of model.subjects.values())
        if (subject.fields.has(source.of.slice(8))) selected.add(`${subject.type}.${source.of.slice(8)}`);
  }
  try {
    return decide(
      model,
      receiver,
      { code: publish.purpose, basis: stream.article, case: '' },
      { selected, explicit: selected, constrained: new Set() },
      today,
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new StopStream(`push-not-granted: ${publish.receiver} may have nothing for ${publish.purpose}: ${error.code} ${error.message}`);
  }
}
