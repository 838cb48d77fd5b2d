/** How the difference of two losses of one seed is shown and judged. */

/**
 * A smaller difference is within what chance makes of one run: twice its standard deviation over seeds. That of two models
 * trained on random rows is 0.02 to 0.03 on the quickstart's passages, and that of a method's gain over random rows in the
 * study (docs/results.md) 0.013 to 0.025 on passages that are written like the corpus, and more on others.
 */
export const LEAST_DIFFERENCE = 0.05;

const asShown = (loss: number) => Number(loss.toFixed(3));

/** The difference of two losses after rounding, so that it is what a reader gets by subtracting the shown values. */
export const shownDifference = (loss: number, other: number) => asShown(asShown(loss) - asShown(other));

/** Which way a difference points; undefined if it may as well be chance. */
export function tone(difference: number): 'better' | 'worse' | undefined {
  if (Math.abs(difference) < LEAST_DIFFERENCE) return undefined;
  return difference < 0 ? 'better' : 'worse';
}
