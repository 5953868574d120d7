import { MANUAL } from './manual.ts';
import { RECALL_PARTS } from './publication-types.ts';
import type { CodeSet, Model, Publication, PushStream, PushVia, Wire } from './types.ts';

type Say = (part: string, path: string, reason: string) => void;

/** Checks of what leaves the hub that no JSON Schema can hold: that it can be chosen, sent, asked about and taken back as its file says. */
export function checkPublication(model: Model, { publish, via }: PushStream, part: string, path: string, say: Say): void {
  const at = `${path}/publish`;
  const category = model.categories.get(publish.category);
  if (category === undefined) return say(part, `${at}/category`, `category ${publish.category} is not in the catalog`);
  for (const kind of publish.kinds) if (!category.kinds.has(kind)) say(part, `${at}/kinds`, `${kind} is no kind of ${category.id}`);
  if (!has(model.codes, 'departments', publish.receiver)) say(part, `${at}/receiver`, `${publish.receiver} is not in codes/departments`);
  if (!has(model.codes, 'purposes', publish.purpose)) say(part, `${at}/purpose`, `${publish.purpose} is not in codes/purposes`);
  for (const code of publish.from)
    if (code !== MANUAL && !has(model.codes, 'departments', code) && !model.connectors.has(code))
      say(part, `${at}/from`, `${code} is neither in codes/departments nor a connector`);
  for (const [name, codes] of publish.only) {
    const field = category.fields.get(name);
    // Chosen in the transaction of the change, before any grant: by open codes only, so that the choice tells nothing that is not open.
    if (field?.codes === undefined || field.sensitivity !== 'open')
      say(part, `${at}/only/${name}`, `is no open code field of ${category.type}`);
    else
      for (const code of codes)
        if (!has(model.codes, field.codes, code)) say(part, `${at}/only/${name}`, `${code} is not in codes/${field.codes}`);
  }
  for (const [key, source] of publish.body) {
    if ('literal' in source) continue;
    const [head, tail] = source.of.split('.');
    const known =
      tail === undefined
        ? category.fields.has(source.of)
        : head === 'record'
          ? ['id', 'version', 'kind', 'deleted', 'disputed', 'key'].includes(tail)
          : head === 'subject' && [...model.subjects.values()].some((s) => s.fields.has(tail));
    if (!known) say(part, `${at}/body/${key}`, `${source.of} is nothing that can be pushed`);
  }
  if (!holds(publish.body, 'record.disputed'))
    say(part, `${at}/body`, 'does not say whether an objection is pending: record.disputed (HN-24.3, U15)');
  const { deadline } = publish;
  if (deadline !== undefined && category.fields.get(deadline.from)?.type !== 'date')
    say(part, `${at}/deadline/from`, `${deadline.from} is no date of ${category.type}`);
  checkRecall(model, publish, via, part, `${at}/recall`, say);
  checkAcknowledges(publish, via, part, at, say);
}

function checkRecall(model: Model, { recall }: Publication, via: PushVia, part: string, at: string, say: Say): void {
  for (const [key, source] of recall.body) {
    if ('literal' in source) continue;
    if (!RECALL_PARTS.some((one) => one === source.of))
      say(part, `${at}/body/${key}`, `a recall holds ${RECALL_PARTS.join(', ')} or a literal`);
    const causes = [...(model.codes.get('recall-causes')?.values.keys() ?? [])];
    const wordless = source.of === 'cause' && source.lookup ? causes.filter((cause) => !source.lookup?.has(cause)) : [];
    if (wordless.length > 0) say(part, `${at}/body/${key}`, `has no word for ${wordless.join(', ')}`);
  }
  if (!holds(recall.body, 'published', 'receipt')) say(part, `${at}/body`, 'does not say what is taken back: published or receipt');
  if (via.kind !== 'http' && recall.path !== undefined) say(part, `${at}/path`, 'a front database or a folder has no paths');
}

/** A platform can only keep a key, or be asked by one, that it was given. */
function checkAcknowledges(publish: Publication, via: PushVia, part: string, at: string, say: Say): void {
  const { mode } = publish.acknowledges;
  if (via.kind !== 'http') {
    if (mode !== 'keys') say(part, `${at}/acknowledges`, 'a front database, and who reads batch files, takes a key once: keys');
    return;
  }
  if (mode === 'keys' && via.keyHeader === undefined) say(part, `${at}/acknowledges`, 'keys needs keyHeader');
  if (mode === 'asks') {
    if (!holds(publish.body, 'record.key')) say(part, `${at}/body`, 'asks needs record.key, by which the platform is asked');
    if (!holds(publish.recall.body, 'key')) say(part, `${at}/recall/body`, 'asks needs key, by which the platform is asked');
  }
  if (mode === 'asks' || mode === 'drafts') {
    const name = mode === 'asks' ? '{key}' : '{draft}';
    if (!JSON.stringify(publish.acknowledges.body).includes(name)) say(part, `${at}/acknowledges/${mode}/body`, `holds no ${name}`);
  }
}

const holds = (wire: Wire, ...parts: string[]): boolean => [...wire.values()].some((one) => 'of' in one && parts.includes(one.of));

function has(sets: Map<string, CodeSet>, set: string, code: string): boolean {
  return sets.get(set)?.values.has(code) ?? false;
}
