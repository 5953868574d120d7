/** Who asks, as the token says: a natural person, always (ZM-3.2.3: a query is logged under a name). */
export interface Caller {
  id: string;
  name: string;
  department: string;
  role: string;
  /** Six-digit region of the caller's authority; 430000 is the whole province. */
  region: string;
  /** Organisation on whose behalf a system acts. */
  actingFor: string;
  /** Purposes the token is restricted to; undefined: those of the policies. */
  purposes: readonly string[] | undefined;
  /** The caller's own statutory code, as its identity was proved (WG-10); undefined for an officer. MUST NOT be logged or repeated. */
  subject?: OwnSubject | undefined;
}

/** A statutory code, normalised, and its scheme. */
export interface OwnSubject {
  scheme: string;
  code: string;
}

/** Why the query is made (ZM-3.2.2, HN-29): a code of codes/purposes, its legal basis, the case it belongs to. */
export interface Purpose {
  code: string;
  basis: string;
  case: string;
}

/** A purpose as it would be stated in a query: with a case, where it needs one. For what is told of the policies without a query. */
export function supposed(code: string): Purpose {
  return { code, basis: '?', case: '?' };
}

/** Coordinates of a document, `Type.field`: what it selects, and what it filters, sorts or groups by. */
export interface Asked {
  selected: ReadonlySet<string>;
  /** The part of `selected` that the document names on its own type, not through an interface. */
  explicit: ReadonlySet<string>;
  constrained: ReadonlySet<string>;
}

/**
 * The part of a region code that all places below it share: 430000 → 43, 430100 → 4301, 430102 → 430102.
 * `…99` and `..9900` are pooling areas of their own, not containers.
 */
export function regionPrefix(region: string): string {
  return region.replace(/(00)+$/, '');
}

const REGION = /^[1-9]\d{5}$/;

/** The prefix of a caller's own region; undefined when its token names none: it then has no rows of a region at all. */
export function ownRegion(caller: Caller): string | undefined {
  return REGION.test(caller.region) ? regionPrefix(caller.region) : undefined;
}

/** The regions that contain this one: 430102 → 430100, 430000. Its province's and prefecture's own records are kept under these codes. */
export function regionsAbove(region: string): string[] {
  return [`${region.slice(0, 4)}00`, `${region.slice(0, 2)}0000`].filter((above, i, all) => above !== region && all.indexOf(above) === i);
}
