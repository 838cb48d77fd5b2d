/** Splits probed rows into those for the fit, those for early stopping, and those for the reported Spearman. */
import { type SplitShares, splitSizes } from '../../core/config/label-split.ts';
import { RunError } from '../../core/errors.ts';
import type { CounterRandom } from '../../core/random/philox.ts';
import { permutation } from '../../core/random/philox.ts';
import { type DocumentsOf, documentGroups, sharesDocument } from './documents.ts';
import type { LabelledRows } from './predictor.ts';

export interface Sets<T> {
  fit: T[];
  validation: T[];
  test: T[];
  /** `document` if no document has parts in two of the sets. */
  by: 'document' | 'row';
}

/**
 * Deals the sets at random, keeping rows that share documents together: such rows are alike, and a model that has seen
 * one would know the other. Groups too large for the room left in a set go to the fit. If a set would then get less
 * than half of its rows, as with documents that span many rows, rows are dealt one by one.
 */
export function splitLabelled<T extends { row: number }>(
  labelled: readonly T[],
  documentsOf: DocumentsOf,
  shares: SplitShares,
  random: CounterRandom,
): Sets<T> {
  const sizes = splitSizes(labelled.length, shares);
  if (!sizes)
    throw new RunError(`${labelled.length} probes are too few to fit, stop early and test on; raise probe.documents.`);
  const { test, validation } = sizes;
  // Groups are shuffled, not rows: by its first row, a group of many would come early, and be tested on too often.
  const tested = take(shuffled(documentGroups(labelled, documentsOf), random), test);
  const validated = take(tested.left, validation);
  if (2 * tested.taken.length >= test && 2 * validated.taken.length >= validation)
    return { test: tested.taken, validation: validated.taken, fit: validated.left.flat(), by: 'document' };
  const rows = shuffled(labelled, random);
  return {
    test: rows.slice(0, test),
    validation: rows.slice(test, test + validation),
    fit: rows.slice(test + validation),
    by: 'row',
  };
}

/**
 * Probes of earlier stages, without rows that are fitted with new labels and without rows that are held out from the
 * fit. If the split was by document, rows that share a document with a held-out row are left out too.
 */
export function notHeldOut(
  { rows, labels }: LabelledRows,
  { fit, validation, test, by }: Sets<{ row: number }>,
  documentsOf: DocumentsOf,
): LabelledRows {
  const isHeld = known(
    [...validation, ...test].map(({ row }) => row),
    by,
    documentsOf,
  );
  const again = new Set(fit.map(({ row }) => row));
  const kept = rows.flatMap((row, i) => (isHeld(row) || again.has(row) ? [] : [i]));
  return { rows: kept.map((i) => rows[i]!), labels: kept.map((i) => labels[i]!) };
}

/**
 * The rows that a model of an earlier stage was not fitted to. If the split was by document, it was not fitted to any
 * part of their documents either.
 *
 * @param seen rows that the model was fitted to or chosen by.
 */
export function unseenBefore<T extends { row: number }>(
  labelled: readonly T[],
  seen: readonly number[],
  by: Sets<T>['by'],
  documentsOf: DocumentsOf,
): T[] {
  const isSeen = known(seen, by, documentsOf);
  return labelled.filter(({ row }) => !isSeen(row));
}

/** Tells whether a row is one of `rows` or, if the split was by document, shares a document with one of them. */
function known(rows: readonly number[], by: Sets<unknown>['by'], documentsOf: DocumentsOf): (row: number) => boolean {
  if (by === 'document') return sharesDocument(rows, documentsOf);
  const those = new Set(rows);
  return (row) => those.has(row);
}

/**
 * Deals the positions of rows at random to folds that are each held out once. Rows that share documents go together, to
 * the fold that has the fewest so far.
 */
export function dealFolds(
  rows: readonly number[],
  documentsOf: DocumentsOf,
  count: number,
  random: CounterRandom,
): number[][] {
  const placed = rows.map((row, position) => ({ row, position }));
  const groups = documentGroups(placed, documentsOf);
  const folds = Array.from({ length: count }, (): number[] => []);
  for (const group of shuffled(groups, random)) {
    const smallest = folds.reduce((least, fold) => (fold.length < least.length ? fold : least));
    for (const { position } of group) smallest.push(position);
  }
  return folds;
}

const shuffled = <T>(items: readonly T[], random: CounterRandom): T[] =>
  Array.from(permutation(items.length, random), (i) => items[i]!);

/** Takes, in order, each group that still fits, up to `most` items in all. */
function take<T>(groups: readonly T[][], most: number): { taken: T[]; left: T[][] } {
  const taken: T[] = [];
  const left: T[][] = [];
  for (const group of groups)
    if (taken.length + group.length <= most) taken.push(...group);
    else left.push(group);
  return { taken, left };
}
