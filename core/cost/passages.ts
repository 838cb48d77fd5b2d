/** How long passages are, as far as it is known: oracle probes and evaluations read them again and again. */
import type { RunConfig } from '../config/schema.ts';
import type { MeasuredPassages } from '../corpus/passages.ts';
import type { PassageStatistics, PassagesCheck } from '../formats.ts';

/** Passages that are used, their tokens, and how many of these count. */
export interface PassageSizes {
  passages: number;
  tokens: number;
  targets: number;
}

/** Of both sets of a run; what is not known is assumed. */
export type RunPassages = Of<PassageSizes>;
type Of<T> = { reference?: T | undefined; heldOut?: T | undefined };

/** Assumed tokens of a passage: LAMBADA's mean is about 85. */
export const PASSAGE_TOKENS = 85;
/** Assumed tokens of a last word: most are one or two. */
const LAST_WORD_TOKENS = 2;
/** Bytes of text in a token of English, with a vocabulary of some 50,000. */
export const TOKEN_BYTES = 4.2;

/** Sizes by the passages' text, before they are tokenized. */
export function textSizes({ reference, heldOut }: RunConfig, text: Of<MeasuredPassages>): RunPassages {
  const sizes = ({ target }: RunConfig['reference'], { passages, bytes }: MeasuredPassages): PassageSizes => {
    const tokens = Math.max(2 * passages, bytes / TOKEN_BYTES);
    return { passages, tokens, targets: target === 'last-word' ? LAST_WORD_TOKENS * passages : tokens - passages };
  };
  return {
    reference: text.reference && sizes(reference, text.reference),
    heldOut: text.heldOut && sizes(heldOut, text.heldOut),
  };
}

/** Sizes that a run has recorded; one that began with an earlier version has not. */
export function recordedSizes({ reference, heldOut }: PassagesCheck): RunPassages {
  const sizes = ({ passages, tokens, targets }: PassageStatistics): PassageSizes | undefined =>
    passages === undefined || tokens === undefined ? undefined : { passages, tokens, targets };
  return { reference: sizes(reference), heldOut: sizes(heldOut) };
}

/**
 * How many passages there are, and the mean of their tokens and targets.
 *
 * @param length of a row, which longer ones are cut to.
 */
export function meanPassage(
  { passages, target }: RunConfig['reference'],
  length: number,
  known?: PassageSizes,
): PassageSizes {
  const count = known?.passages ?? passages;
  const tokens = Math.min(known ? known.tokens / count : PASSAGE_TOKENS, length);
  const targets = known ? known.targets / count : target === 'last-word' ? LAST_WORD_TOKENS : tokens;
  return { passages: count, tokens, targets: Math.min(targets, tokens - 1) };
}
