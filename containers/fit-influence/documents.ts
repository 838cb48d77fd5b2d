/** Rows that share documents: a row holds the rest of one, whole ones, and the beginning of another. */

/** The documents that a row has a part of. */
export type DocumentsOf = (row: number) => readonly string[];

/**
 * The parts of `rows` that share no document with each other, each in the order of its rows, the parts in that of their
 * first ones: two rows are in one part where they have a document in common, or both share one with a third.
 */
export function documentGroups<T extends { row: number }>(rows: readonly T[], documentsOf: DocumentsOf): T[][] {
  const parents = Array.from(rows.keys());
  const rootOf = (index: number): number => {
    let at = index;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]!]!; // halves the path for those who come after
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

/** Whether a row has a part of a document of which one of `rows` has a part, too. */
export function sharesDocument(rows: readonly number[], documentsOf: DocumentsOf): (row: number) => boolean {
  const known = new Set(rows.flatMap(documentsOf));
  return (row) => documentsOf(row).some((document) => known.has(document));
}
