/** Which probed rows are fitted, which stop the fit early, and which the reported Spearman is measured on. */
import type { RunConfig } from '../../core/config/schema.ts';
import { RunError } from '../../core/errors.ts';
import type { CounterRandom } from '../../core/random/philox.ts';
import { permutation } from '../../core/random/philox.ts';
import type { LabelledRows } from './predictor.ts';

export interface Sets<T> {
  fit: T[];
  validation: T[];
  test: T[];
  /** Whether no document has rows in two of the sets. */
  by: 'document' | 'row';
}

/**
 * Deals whole documents to the sets at random: rows of one document are alike, and a model that has seen the one would
 * know the other. A document that has more rows than a set lacks is fitted. Where documents are so few and long that a
 * set would get less than half of its rows so, rows are dealt instead.
 *
 * @param documentOf the document that a row begins in.
 */
export function splitLabelled<T>(
  labelled: readonly T[],
  documentOf: (one: T) => string,
  { testFraction, validationFraction }: Pick<RunConfig['influenceModel'], 'testFraction' | 'validationFraction'>,
  random: CounterRandom,
): Sets<T> {
  const [test, validation] = [testFraction, validationFraction].map((share) =>
    Math.max(2, Math.round(share * labelled.length)),
  ) as [number, number];
  if (labelled.length < test + validation + 2)
    throw new RunError(`${labelled.length} probes are too few to fit, stop early and test on; raise probe.documents.`);
  const shuffled = Array.from(permutation(labelled.length, random), (i) => labelled[i]!);
  const documents = new Map<string, T[]>();
  for (const one of shuffled) {
    const document = documentOf(one);
    const rows = documents.get(document);
    if (rows) rows.push(one);
    else documents.set(document, [one]);
  }
  const tested = take([...documents.values()], test);
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
 * Probes of earlier stages without what is kept from the fit, documents whole if they were dealt whole, and without rows that
 * were probed anew.
 */
export function notHeldOut(
  { rows, labels }: LabelledRows,
  { fit, validation, test, by }: Sets<{ row: number }>,
  documentOf: (row: number) => string,
): LabelledRows {
  const keyOf = unitOf(by, documentOf);
  const held = new Set([...validation, ...test].map(({ row }) => keyOf(row)));
  const again = new Set(fit.map(({ row }) => row));
  const kept = rows.flatMap((row, i) => (held.has(keyOf(row)) || again.has(row) ? [] : [i]));
  return { rows: kept.map((i) => rows[i]!), labels: kept.map((i) => labels[i]!) };
}

/**
 * What a model of an earlier stage has not been fitted to: documents whole if they were dealt whole.
 *
 * @param seen rows that it was fitted to, or chosen by.
 */
export function unseenBefore<T extends { row: number }>(
  labelled: readonly T[],
  seen: readonly number[],
  by: Sets<T>['by'],
  documentOf: (row: number) => string,
): T[] {
  const keyOf = unitOf(by, documentOf);
  const known = new Set(seen.map(keyOf));
  return labelled.filter(({ row }) => !known.has(keyOf(row)));
}

/** What is dealt, and so kept apart, as one. */
function unitOf(by: Sets<unknown>['by'], documentOf: (row: number) => string): (row: number) => string | number {
  return by === 'document' ? documentOf : (row) => row;
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
