import { type DocumentNode, Kind, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/** Names of the root fields of an operation, through its fragments. */
export function rootFields(document: DocumentNode, operation: OperationDefinitionNode): Set<string> {
  const names = new Set<string>();
  const seen = new Set<string>();
  const read = ({ selections }: SelectionSetNode): void => {
    for (const one of selections) {
      if (one.kind === Kind.FIELD) names.add(one.name.value);
      else if (one.kind === Kind.INLINE_FRAGMENT) read(one.selectionSet);
      else if (!seen.has(one.name.value)) {
        seen.add(one.name.value);
        const found = document.definitions.find((d) => d.kind === Kind.FRAGMENT_DEFINITION && d.name.value === one.name.value);
        if (found?.kind === Kind.FRAGMENT_DEFINITION) read(found.selectionSet);
      }
    }
  };
  read(operation.selectionSet);
  return names;
}
