import { type DocumentNode, Kind, visit } from 'graphql';

/** The document with every literal value emptied: its shape can be kept in the log, the codes and names someone wrote into it cannot. */
export function withoutLiterals(document: DocumentNode): DocumentNode {
  return visit(document, {
    IntValue: () => ({ kind: Kind.INT, value: '0' }),
    FloatValue: () => ({ kind: Kind.FLOAT, value: '0' }),
    StringValue: () => ({ kind: Kind.STRING, value: '' }),
  });
}
