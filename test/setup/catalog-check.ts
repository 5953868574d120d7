/** Whether a record is one the catalog allows, said independently of the mapping that made it. */
import type { MappedRecord } from '../../src/mapping/record.ts';
import type { Field, FieldValue, Model } from '../../src/model/types.ts';

const DAY = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;

/** What is wrong with it, empty when nothing is; names fields, never values. */
export function faultsOfRecord(model: Model, record: MappedRecord): string[] {
  const category = model.categories.get(record.category);
  const kind = category?.kinds.get(record.kind);
  if (category === undefined || kind === undefined) return [`category ${record.category} has no kind ${record.kind}`];
  const faults = Object.entries(record.fields).flatMap(([name, value]) => {
    const field = category.fields.get(name);
    if (field === undefined) return [`field ${name} is in no catalog`];
    return isOf(model, field, value) ? [] : [`field ${name} is no ${field.type}`];
  });
  for (const name of kind.required) if (record.fields[name] === undefined) faults.push(`required field ${name} is missing`);
  for (const day of ['occurredOn', 'validFrom', 'validTo'] as const) {
    if (record[day] !== null && !isDay(record[day])) faults.push(`${day} is no day`);
  }
  return [...faults, ...faultsOfSubject(model, record)];
}

function faultsOfSubject(model: Model, { subject, region }: MappedRecord): string[] {
  const type = model.subjects.get(subject.kind);
  const faults = subject.identifiers
    .filter(({ scheme, code }) => !type?.identifiers.has(scheme) || code.trim() === '')
    .map(({ scheme }) => `identifier ${scheme} is none of a ${subject.kind}`);
  if (subject.identifiers.length === 0) faults.push('there is no identifier');
  for (const one of [region, subject.region]) if (one !== null && !/^\d{6}$/.test(one)) faults.push('a region is no code of six digits');
  return faults;
}

function isOf(model: Model, field: Field, value: FieldValue): boolean {
  switch (field.type) {
    case 'text':
      return typeof value === 'string' && value !== '' && [...value].length <= field.max;
    case 'code':
      return typeof value === 'string' && model.codes.get(field.codes ?? '')?.values.has(value) === true;
    case 'date':
      return typeof value === 'string' && isDay(value);
    case 'instant':
      return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(value) && !Number.isNaN(Date.parse(value));
    case 'money':
    case 'integer':
      return Number.isSafeInteger(value);
    case 'decimal':
      return typeof value === 'string' && /^[+-]?\d+(\.\d+)?$/.test(value) && value.length <= field.max;
    case 'boolean':
      return typeof value === 'boolean';
  }
}

/** A day that the calendar has. */
function isDay(text: string): boolean {
  return DAY.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
}
