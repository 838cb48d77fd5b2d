/** The reference passages as rows of the corpus's length: what a quality classifier learns from. */
import type { RunConfig } from '../config/schema.ts';
import type { Passage } from '../corpus/passages.ts';
import { ConfigError } from '../errors.ts';
import { counted, plural } from '../plural.ts';
import { methodTraits } from './methods.ts';
import { weightedScores } from './weighted-scores.ts';

/**
 * With fewer, a classifier knows the reference badly, and a held-out part of them is too small to choose its penalty by.
 * On the example corpus its area under the ROC curve, held-out references against the pool, is 0.69 to 0.75 with one row,
 * 0.86 with 5, 0.93 with 20 and 0.98 with 60.
 */
export const FEW_REFERENCE_ROWS = 20;

/** Passages one after the other, each with an end-of-text token, cut into whole rows. */
export function referenceRowCount(passages: readonly Passage[], sequenceLength: number): number {
  return Math.floor(passages.reduce((sum, { tokens }) => sum + tokens.length + 1, 0) / sequenceLength);
}

/**
 * Whether the passages suffice for what the selection learns from their rows, if it learns anything from them.
 *
 * @returns a warning if they are few.
 * @throws ConfigError when they do not fill one row.
 */
export function checkReferenceRows(
  { selection }: Pick<RunConfig, 'selection'>,
  passages: readonly Passage[],
  sequenceLength: number,
): string[] {
  const classifies = weightedScores(methodTraits(selection.method).score, selection).some(
    ([kind]) => kind === 'classifier',
  );
  if (!classifies && selection.method !== 'train-on-reference') return [];
  const rows = referenceRowCount(passages, sequenceLength);
  const given = `${counted(passages.length, 'passage')} in all ${plural(passages.length, 'fills', 'fill')}`;
  if (rows === 0)
    throw new ConfigError(
      `reference.passages: ${given} no row of ${sequenceLength} tokens, which ` +
        `${classifies ? 'the quality classifier' : 'selection.method "train-on-reference"'} needs: ` +
        'give more text in reference.input, or shorter rows in corpus.sequenceLength.',
    );
  if (!classifies || rows >= FEW_REFERENCE_ROWS) return [];
  return [
    `The quality classifier learns from only ${counted(rows, 'row')} of ${sequenceLength} tokens, as ${given} no more: below ` +
      `${FEW_REFERENCE_ROWS} it tells reference text from other text badly. Give more text in reference.input, or shorter rows in corpus.sequenceLength.`,
  ];
}
