/** Another transaction made, merged or closed a subject of this page at the same moment: roll back and do the page again. */
export class SubjectRace extends Error {}
