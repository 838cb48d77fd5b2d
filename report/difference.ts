/** How the difference of two losses of one seed is shown and judged. */

/**
 * A smaller difference is not meaningful. In the study (docs/results.md) the difference between a method and random
 * varies more than this between seeds: its standard deviation is 0.013 to 0.025 on passages that are written like the
 * corpus, and more on others.
 */
export const LEAST_DIFFERENCE = 0.01;

const asShown = (loss: number) => Number(loss.toFixed(3));

/** The difference of two losses after rounding, so that it is what a reader gets by subtracting the shown values. */
export const shownDifference = (loss: number, other: number) => asShown(asShown(loss) - asShown(other));

/** Which way a difference points; undefined if it is too small to be meaningful. */
export function tone(difference: number): 'better' | 'worse' | undefined {
  if (Math.abs(difference) < LEAST_DIFFERENCE) return undefined;
  return difference < 0 ? 'better' : 'worse';
}
