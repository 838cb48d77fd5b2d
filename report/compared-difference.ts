import type { Difference } from '../core/compare/difference.ts';
import { count, lossDifference, NOTHING } from './format.ts';

/**
 * `-0.123 [-0.150, -0.090] (7)`: the mean of the pairs' differences, an interval that spans the bootstrap's and Student's, and the number of
 * pairs if it is not the number of `seeds` that the row has.
 *
 * @param shown how a number is written. @default - as a difference of losses
 */
export function differenceText(
  difference: Difference | undefined,
  seeds = difference?.seeds,
  shown: (value: number) => string = lossDifference,
): string {
  if (!difference || difference.seeds === 0) return NOTHING;
  const { mean, bootstrap, student } = difference;
  const pairs = difference.seeds === seeds ? '' : ` (${count(difference.seeds)})`;
  const low = Math.min(...(bootstrap ?? []), ...(student ?? []));
  const high = Math.max(...(bootstrap ?? []), ...(student ?? []));
  // A stage that the runs share with the baseline differs in none of them.
  if (!bootstrap || !student || (low === 0 && high === 0)) return shown(mean) + pairs;
  return `${shown(mean)} [${shown(low)}, ${shown(high)}]${pairs}`;
}
