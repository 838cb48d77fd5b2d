/** Rows that share documents: a row can hold the end of one document, whole documents, and the beginning of another. */

/** Gives the documents that a row contains some part of. */
export type DocumentsOf = (row: number) => readonly string[];

/**
 * Groups rows so that no two groups share a document: two rows are in one group if they have a document in common or
 * are linked through other rows. Rows keep their order within a group, and groups are ordered by their first row.
 */
export function documentGroups<T extends { row: number }>(rows: readonly T[], documentsOf: DocumentsOf): T[][] {
  const parents = Array.from(rows.keys());
  const rootOf = (index: number): number => {
    let at = index;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]!]!; // halves the path for later look-ups
      at = parents[at]!;
    }
    return at;
  };
  const firstWith = new Map<string, number>();
  for (const [index, { row }] of rows.entries())
    for (const document of documentsOf(row)) {
      const first = firstWith.get(document);
      if (first === undefined) firstWith.set(document, index);
      else parents[rootOf(index)] = rootOf(first);
    }
  const groups = new Map<number, T[]>();
  for (const [index, one] of rows.entries()) {
    const root = rootOf(index);
    const group = groups.get(root);
    if (group) group.push(one);
    else groups.set(root, [one]);
  }
  return [...groups.values()];
}

/** Tells whether a row shares a document with one of `rows`. */
export function sharesDocument(rows: readonly number[], documentsOf: DocumentsOf): (row: number) => boolean {
  const known = new Set(rows.flatMap(documentsOf));
  return (row) => documentsOf(row).some((document) => known.has(document));
}
