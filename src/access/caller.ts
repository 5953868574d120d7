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
}

/** Why the query is made (ZM-3.2.2, HN-29): a code of codes/purposes, its legal basis, the case it belongs to. */
export interface Purpose {
  code: string;
  basis: string;
  case: string;
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
