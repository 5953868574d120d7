import * as of from './dictionary.ts';

/**
 * The tables that the stand-ins keep in PostgreSQL. A column is `NAME:TYPE` in the notation of the platform's dictionary: V255 text of at most
 * 255 characters, N10 whole number, N number, DATE a day, TS local time, BIG a row number, T text; `*` not null.
 */
export interface Table {
  schema: string;
  name: string;
  columns: string;
  /** Stream whose rows it holds; undefined: it starts empty. */
  stream: string | undefined;
  primaryKey: string;
}

const returned = (schema: string, name: string, columns: string, stream: string): Table => ({
  schema,
  name,
  columns,
  stream: `national-insurance/${stream}`,
  primaryKey: 'RID',
});

export const RETURN_FLOW: readonly Table[] = [
  returned('CUSTCENT_DB', 'MEDINS_INFO_B', of.MEDICAL_INSTITUTIONS + of.AUDIT, 'medical-institutions'),
  returned('CUSTCENT_DB', 'RTAL_PHAC_B', of.PHARMACIES + of.AUDIT, 'pharmacies'),
  returned('POLCENT_DB', 'FIXMEDINS_CNTR_REG_D', of.AGREEMENTS + of.AUDIT, 'service-agreements'),
  returned('CUSTCENT_DB', 'MEDINS_CRED_EVAL_D', of.GRADES, 'credit-grades'),
  returned('CUSTCENT_DB', 'DR_INFO_B', of.PHYSICIANS + of.AUDIT, 'physicians'),
  returned('CUSTCENT_DB', 'PHAR_INFO_B', of.PHARMACISTS + of.AUDIT, 'pharmacists'),
  returned('CUSTCENT_DB', 'NURS_INFO_B', of.NURSES + of.AUDIT, 'nurses'),
  returned('CUSTCENT_DB', 'MED_TECN_INFO_B', of.TECHNICIANS + of.AUDIT, 'technicians'),
  returned('CUSTCENT_DB', 'INSU_EMP_INFO_B', of.EMPLOYERS + of.AUDIT, 'employers'),
  returned('BASINFOCENT_DB', 'PSN_INFO_B', of.PERSONS + of.AUDIT, 'insured-persons'),
  returned('POLCENT_DB', 'FIXMEDINS_B', of.DESIGNATIONS + of.AUDIT, 'designations'),
  returned('POLCENT_DB', 'FIXMEDINS_PAUS_D', of.DESIGNATION_SUSPENSIONS + of.AUDIT, 'designation-suspensions'),
  returned('SETLCENT_DB', 'PSN_TRT_PAUS_D', of.BENEFIT_SUSPENSIONS + of.AUDIT, 'benefit-suspensions'),
  returned('CUSTCENT_DB', 'PSN_INSU_STAS_B', of.INSURANCE_RELATIONS + of.AUDIT, 'insurance-relations'),
  returned('CLCTCENT_DB', 'EMP_CLCT_DETL_D', of.EMPLOYER_CONTRIBUTIONS + of.AUDIT_OF_CONTRIBUTIONS, 'employer-contributions'),
  returned('POLCENT_DB', 'DATA_DIC_TYPE_A', of.DICTIONARY_TYPES + of.AUDIT_OF_TYPES, 'dictionary-types'),
  returned('POLCENT_DB', 'NAT_DATA_DIC_A', of.NATIONAL_DICTIONARIES + of.AUDIT, 'dictionaries'),
  returned('POLCENT_DB', 'PLACE_DATA_DIC_A', of.PLACE_DICTIONARIES + of.AUDIT, 'place-dictionaries'),
  returned('CLCTCENT_DB', 'RSDT_PSN_CLCT_DETL_D', of.RESIDENT_CONTRIBUTIONS + of.AUDIT_OF_CONTRIBUTIONS, 'resident-contributions'),
];

/** Only institutions with a grade (wire: credit-grades). */
export const RETURN_FLOW_VIEWS: readonly string[] = [
  `CREATE OR REPLACE VIEW "CUSTCENT_DB"."V_MEDINS_CRED_LV" AS
     SELECT * FROM "CUSTCENT_DB"."MEDINS_CRED_EVAL_D" WHERE "CRED_LV" IS NOT NULL`,
];

const CONTROL = 'XH:BIG* XXBH:V40* SJHZDW:T GXSJ:TS* JHKG:V1* ZSGBZ:V1* XRSJ:TS* XZQH:T';

function sharedTable(name: string, columns: string, stream: string): Table {
  return {
    schema: 'QZK',
    name,
    columns: `${CONTROL} ${columns
      .split(' ')
      .map((column) => `${column}:T`)
      .join(' ')}`,
    stream: `hunan-credit/${stream}`,
    primaryKey: 'XH',
  };
}

export const FRONT_DATABASE: readonly Table[] = [
  sharedTable('GX_QYDJ', 'ZTMC TYSHXYDM FDDBR FDDBR_ZJHM ZCZB ZTLX DJJG CLRQ JYQX_Z DJZT DZ JYFW', 'market-registrations'),
  sharedTable(
    'GX_SXBZXR',
    'BZXRMC BZXRLX TYSHXYDM SFZH FDDBR ZXFY ZXYJWH AH LASJ ZCZXYJDW YW LXQK XWQX FBSJ',
    'dishonest-judgment-debtors',
  ),
  sharedTable('GX_JYYC', 'ZTMC TYSHXYDM LRRQ LRYY LRJG YCRQ YCYY YCJG', 'abnormal-operations'),
  sharedTable('GX_GGXYPJ', 'ZTMC TYSHXYDM PJDJ PJDF PJND PJDW PJRQ', 'public-credit-evaluations'),
  sharedTable('GX_XYCN', 'CNRMC CNRLX ZJHM CNLX CNNR CNRQ LXZT SLDW', 'credit-commitments'),
  sharedTable('GX_YBWG', 'XDRMC XDRLX ZJHM WFTK WFSS SJJE CFWSH CLJD CLRQ CLJG', 'violations'),
  sharedTable('GX_RYXX', 'ZTMC ZTLX ZJHM RYMC SYJG SYJGJB SYRQ YXQZ WSH', 'honours'),
  sharedTable('GX_SXZT', 'ZTMC ZTLX ZJHM MDMC LRSY LRYJ LRRQ RDJG YCRQ WSH FDDBR', 'dishonesty-lists'),
  sharedTable('GX_QTXX', 'ZTMC ZTLX ZJHM XXNR RDYJ RDJG RDRQ', 'other-information'),
  {
    schema: 'QZK',
    name: 'JS_YBXYPJ',
    columns:
      'XXBH:V200* ZTMC:T TYSHXYDM:T PJFA:T PJND:T PJDJ:T PJDJMC:T PJJG:T PJRQ:T YYBZ:T CXBZ:T YXXBH:T YHZBH:T CXYY:T CXRQ:T BZSM:T JHKG:V1* XRSJ:TS',
    stream: undefined,
    primaryKey: 'XXBH',
  },
  {
    schema: 'QZK',
    name: 'FK_YBXYPJ',
    columns: 'XXBH:V200* CLJG:V1* CLYJ:T HZBH:T CLSJ:TS*',
    stream: undefined,
    primaryKey: 'XXBH',
  },
  // What the platform's library holds of what was handed in.
  { schema: 'QZK', name: 'HZ_YBXYPJ', columns: 'XXBH:V200* HZBH:T RKSJ:TS*', stream: undefined, primaryKey: 'XXBH' },
];
