import { RejectRecord } from '../errors.ts';
import type { Mapping, Model, RelationMapping } from '../model/types.ts';
import type { MappedRelation } from './record.ts';
import { compileSubject } from './subject.ts';
import { type Raw, dateReader } from './value.ts';

export type RelationsReader = (raw: Raw, today: string, warnings: string[]) => MappedRelation[];

/**
 * To whom else a record ties its subject. A relation whose other side has no number, or a wrong one, is left out with a warning: the record is
 * about its own subject and stays good. Nobody is ever found by name.
 */
export function compileRelations(model: Model, mapping: Mapping): RelationsReader {
  const all = (mapping.relations ?? []).map((relation) => compileRelation(model, relation));
  return (raw, today, warnings) => all.flatMap((read) => read(raw, today, warnings));
}

function compileRelation(model: Model, relation: RelationMapping): RelationsReader {
  const readSubject = compileSubject(model, relation.subject);
  const readFrom = dateReader(relation.validFrom);
  const readTo = dateReader(relation.validTo);
  return (raw, today, warnings) => {
    try {
      return [{ kind: relation.kind, subject: readSubject(raw, today, []), validFrom: readFrom(raw), validTo: readTo(raw) }];
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
      if (error.rule !== 'no-identifier') warnings.push('relation-not-identified');
      return [];
    }
  };
}
