import type { Mapping, Model } from '../model/types.ts';
import { addMonths } from '../rules/calendar.ts';
import type { MappedRecord } from './record.ts';
import { reject } from './reject.ts';
import { columnsOf } from './value.ts';

/** Refuses a record that ends before it begins, or holds longer than its mapping allows (`bad-period`). */
export function periodCheck(mapping: Mapping): (record: MappedRecord) => void {
  const { mostMonths } = mapping;
  const where = mapping.validTo ? columnsOf(mapping.validTo) : '';
  return ({ validFrom, validTo }) => {
    if (validFrom === null || validTo === null) return;
    if (validTo < validFrom || (mostMonths !== undefined && validTo > addMonths(validFrom, mostMonths))) throw reject('bad-period', where);
  };
}

/**
 * Codes that hold for a time only (`validFrom`, `validTo` beside their label, both included): on any other day the record happened they are
 * no codes (`unknown-code`). A filing that has run out vouches for no new report (ZM-4.2), and still for the old ones.
 */
export function codePeriodCheck(model: Model, mapping: Mapping): (record: MappedRecord) => void {
  const checks = [...mapping.fields].flatMap(([name, value]) => {
    const codes = model.codes.get(model.categories.get(mapping.category)?.fields.get(name)?.codes ?? '')?.values;
    const dated = codes && [...codes.values()].some(({ extra }) => 'validFrom' in extra || 'validTo' in extra);
    return dated ? [{ name, codes, where: columnsOf(value) }] : [];
  });
  return (record) => {
    const day = record.occurredOn;
    if (day === null) return;
    for (const { name, codes, where } of checks) {
      const { validFrom, validTo } = codes.get(String(record.fields[name] ?? ''))?.extra ?? {};
      if ((typeof validFrom === 'string' && day < validFrom) || (typeof validTo === 'string' && day > validTo))
        throw reject('unknown-code', where);
    }
  };
}
