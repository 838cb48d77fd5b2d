/** Which probed rows are fitted, which stop the fit early, and which the reported Spearman is measured on. */
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
  /** Whether no document has a part in rows of two of the sets. */
  by: 'document' | 'row';
}

/**
 * Deals the sets at random, rows that share documents together: they are alike, and a model that has seen the one would
 * know the other. What has more rows than a set lacks is fitted. Where so few rows are apart from the others that a set
 * would get less than half of its rows so, as with documents that are longer than many rows, rows are dealt one by one.
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
  const shuffled = Array.from(permutation(labelled.length, random), (i) => labelled[i]!);
  const tested = take(documentGroups(shuffled, documentsOf), test);
  const validated = take(tested.left, validation);
  if (2 * tested.taken.length >= test && 2 * validated.taken.length >= validation)
    return { test: tested.taken, validation: validated.taken, fit: validated.left.flat(), by: 'document' };
  return {
    test: shuffled.slice(0, test),
    validation: shuffled.slice(test, test + validation),
    fit: shuffled.slice(test + validation),
    by: 'row',
  };
}

/**
 * Probes of earlier stages without rows that were probed anew, and without what is kept from the fit: whatever shares a
 * document with it if documents were dealt.
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
 * What a model of an earlier stage has not been fitted to, nor to any part of its documents if documents were dealt.
 *
 * @param seen rows that it was fitted to, or chosen by.
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

/** Whether a row is one of those or, if documents were dealt, shares a document with one of them. */
function known(rows: readonly number[], by: Sets<unknown>['by'], documentsOf: DocumentsOf): (row: number) => boolean {
  if (by === 'document') return sharesDocument(rows, documentsOf);
  const those = new Set(rows);
  return (row) => those.has(row);
}

/**
 * Positions of rows, dealt at random to folds that are each held out once: rows that share documents together, to the fold
 * that has the fewest so far.
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
  for (const group of permutation(groups.length, random)) {
    const smallest = folds.reduce((least, fold) => (fold.length < least.length ? fold : least));
    for (const { position } of groups[group]!) smallest.push(position);
  }
  return folds;
}

/** Groups in order, each that still fits, of at most so many items together. */
function take<T>(groups: readonly T[][], most: number): { taken: T[]; left: T[][] } {
  const taken: T[] = [];
  const left: T[][] = [];
  for (const group of groups)
    if (taken.length + group.length <= most) taken.push(...group);
    else left.push(group);
  return { taken, left };
}
