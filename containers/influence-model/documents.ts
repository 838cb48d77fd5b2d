/** Rows that share documents: a row can hold the end of one document, whole documents, and the beginning of another. */
import { DisjointSets } from '../../core/disjoint-sets.ts';

/** Gives the documents that a row contains some part of. */
export type DocumentsOf = (row: number) => readonly string[];

/**
 * Groups rows so that no two groups share a document: two rows are in one group if they have a document in common or
 * are linked through other rows. Rows keep their order within a group, and groups are ordered by their first row.
 */
export function documentGroups<T extends { row: number }>(rows: readonly T[], documentsOf: DocumentsOf): T[][] {
  const sets = new DisjointSets(rows.length);
  const firstWith = new Map<string, number>();
  for (const [index, { row }] of rows.entries())
    for (const document of documentsOf(row)) {
      const first = firstWith.get(document);
      if (first === undefined) firstWith.set(document, index);
      else sets.join(index, first);
    }
  const groups = new Map<number, T[]>();
  for (const [index, one] of rows.entries()) {
    const lowest = sets.lowest(index);
    const group = groups.get(lowest);
    if (group) group.push(one);
    else groups.set(lowest, [one]);
  }
  return [...groups.values()];
}

/** Tells whether a row shares a document with one of `rows`. */
export function sharesDocument(rows: readonly number[], documentsOf: DocumentsOf): (row: number) => boolean {
  const known = new Set(rows.flatMap(documentsOf));
  return (row) => documentsOf(row).some((document) => known.has(document));
}
