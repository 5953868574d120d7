import type { Population, Row } from './population.ts';

/**
 * What 1101 answers for each citizen whom the platform insures, as one flat row: keys of `insuinfo` carry the name of their node. It delivers
 * nothing by itself: an officer asks for one person.
 */
export function personLookups(population: Population, relations: readonly Row[]): Row[] {
  const insured = new Map(relations.map((row) => [row['PSN_NO'], row]));
  const employers = new Map(population.staff.map(({ person, institution }) => [person.personNumber, institution]));
  const names = new Map(population.institutions.map((one) => [one.institutionCode, one.name]));
  return population.persons.flatMap((person) => {
    const relation = insured.get(person.personNumber);
    if (relation === undefined || person.certificateType !== '01') return [];
    const born = person.idNumber.slice(6, 14);
    return [
      {
        psn_no: person.personNumber,
        psn_cert_type: person.certificateType,
        certno: person.idNumber,
        psn_name: person.name,
        gend: String(2 - (Number(person.idNumber.slice(16, 17)) % 2)),
        naty: '01',
        brdy: `${born.slice(0, 4)}-${born.slice(4, 6)}-${born.slice(6)}`,
        age: `${population.year - Number(born.slice(0, 4))}.0`,
        'insuinfo.balc': '0.00',
        'insuinfo.insutype': relation['INSUTYPE'] ?? '',
        'insuinfo.psn_type': relation['PSN_TYPE'] ?? '',
        'insuinfo.psn_insu_stas': relation['PSN_INSU_STAS'] ?? '',
        'insuinfo.psn_insu_date': relation['CRT_INSU_DATE'] ?? '',
        'insuinfo.paus_insu_date': '',
        'insuinfo.cvlserv_flag': '0',
        'insuinfo.insuplc_admdvs': relation['INSU_ADMDVS'] ?? '',
        'insuinfo.emp_name': names.get(employers.get(person.personNumber) ?? '') ?? '',
      },
    ];
  });
}
