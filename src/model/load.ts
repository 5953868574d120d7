import { BadModel, type ModelFault } from '../errors.ts';
import { type CategoryYaml, type CodesYaml, type SubjectsYaml, toCategory, toCodeSet, toSubjects } from './catalog.ts';
import { type CalendarYaml, checkCalendar, toCalendar } from './calendar.ts';
import { crossCheck } from './check.ts';
import { type ConnectorYaml, toConnector } from './connectors.ts';
import { checkPack, type PackYaml, toPack } from './packs.ts';
import { parseSchema, readSchemaTexts, type SchemaTexts } from './files.ts';
import { MANUAL, manualConnector } from './manual.ts';
import { type PolicyYaml, toDuties, toRestrictions, toRules } from './policies.ts';
import type { Limits, Model, SubjectKind, SubjectType } from './types.ts';

/**
 * Loads all of `schema/` below `root`, checks every file by its JSON Schema and all of them against each other.
 * Throws `BadModel` with every fault found; a process must not start without a model.
 */
export function loadModel(root: string): Model {
  return modelOf(readSchemaTexts(root));
}

/** The model of the texts of a schema folder: the one below `root`, an earlier one that was kept, or one that is proposed. Throws `BadModel`. */
export function modelOf(texts: SchemaTexts): Model {
  const faults: ModelFault[] = [];
  const { files, digest } = parseSchema(texts, faults);
  const origin = new Map<string, string>();
  const model: Model = {
    version: digest,
    categories: new Map(),
    subjects: new Map(),
    codes: new Map(),
    connectors: new Map(),
    packs: new Map(),
    rules: [],
    restrictions: [],
    duties: [],
    // Where there are none it is a fault, and no process gets to see them.
    limits: (files.find(({ file }) => file === 'limits.yml')?.content ?? {}) as Limits,
    calendar: toCalendar(files.find(({ file }) => file === 'calendar.yml')?.content as CalendarYaml | undefined),
  };
  const claim = (part: string, file: string) => {
    const earlier = origin.get(part);
    if (earlier === undefined) origin.set(part, file);
    else faults.push({ file, path: '', reason: `${part} is already defined in ${earlier}` });
    return earlier === undefined;
  };
  for (const { file, folder, content } of files) {
    if (file === 'catalog/subjects.yml') {
      origin.set('subjects', file);
      model.subjects = toSubjects(content as SubjectsYaml) satisfies Map<SubjectKind, SubjectType>;
    } else if (folder === 'catalog') {
      const category = toCategory(content as CategoryYaml);
      if (claim(`category:${category.no}`, file)) model.categories.set(category.no, category);
    } else if (folder === 'codes') {
      const codes = toCodeSet(content as CodesYaml);
      if (claim(`codes:${codes.id}`, file)) model.codes.set(codes.id, codes);
    } else if (folder === 'connectors') {
      const connector = toConnector(content as ConnectorYaml);
      if (claim(`connector:${connector.id}`, file)) model.connectors.set(connector.id, connector);
    } else if (folder === 'jurisdictions') {
      const pack = toPack(content as PackYaml);
      if (claim(`pack:${pack.id}`, file)) model.packs.set(pack.id, pack);
    }
  }
  if (model.subjects.size === 0) faults.push({ file: 'catalog/subjects.yml', path: '', reason: 'is missing or invalid' });
  for (const single of ['limits', 'calendar'])
    if (files.some(({ file }) => file === `${single}.yml`)) origin.set(single, `${single}.yml`);
    else faults.push({ file: `${single}.yml`, path: '', reason: 'is missing or invalid' });
  const calendar = files.find(({ file }) => file === 'calendar.yml')?.content as CalendarYaml | undefined;
  if (calendar) checkCalendar(calendar, (path, reason) => faults.push({ file: 'calendar.yml', path, reason }));
  model.categories = new Map([...model.categories].sort(([a], [b]) => a - b));
  if (claim(`connector:${MANUAL}`, 'catalog')) model.connectors.set(MANUAL, manualConnector(model.categories));
  for (const { file, folder, content } of files) {
    if (folder !== 'policies') continue;
    const yaml = content as PolicyYaml;
    if (!claim(`policy:${yaml.policy}`, file)) continue;
    model.rules.push(...toRules(file, yaml, model.categories, model.subjects, faults));
    model.restrictions.push(...toRestrictions(file, yaml, model.categories, model.subjects, faults));
    model.duties.push(...toDuties(yaml));
  }
  for (const pack of model.packs.values())
    checkPack(pack, model, (path, reason) => faults.push({ file: origin.get(`pack:${pack.id}`) ?? '', path, reason }));
  faults.push(...crossCheck(model, (part) => origin.get(part) ?? part));
  if (faults.length > 0) throw new BadModel(faults);
  return model;
}

export { readSchemaTexts, type SchemaTexts } from './files.ts';
export { allStreams, dictionaryStreams, findStream, pullStreams, pushStreams } from './streams.ts';
