/** What is shown, and what is made, of the difference of two losses of one seed. */

/**
 * A smaller difference is not worth the name. In the study (docs/results.md) that of a method to random varies more between
 * seeds: its standard deviation is 0.013 to 0.025 on passages that are written as the corpus is, and more on others.
 */
export const LEAST_DIFFERENCE = 0.01;

const asShown = (loss: number) => Number(loss.toFixed(3));

/** The difference of two losses as they are shown, so that it is what a reader gets who subtracts them. */
export const shownDifference = (loss: number, other: number) => asShown(asShown(loss) - asShown(other));

/** Which way a difference points, where it is worth the name. */
export function tone(difference: number): 'better' | 'worse' | undefined {
  if (Math.abs(difference) < LEAST_DIFFERENCE) return undefined;
  return difference < 0 ? 'better' : 'worse';
}
