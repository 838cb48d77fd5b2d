/** Means and spreads. Sums are of deviations from the mean, so that a large offset costs no digits. */

type Values = ArrayLike<number>;

/** NaN for no values. */
export function mean(values: Values): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Of a sample (divisor n - 1) or, with `population`, of a whole population (divisor n). NaN when the divisor is 0. */
export function standardDeviation(values: Values, of: 'sample' | 'population' = 'sample'): number {
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - centre) ** 2;
  return Math.sqrt(sum / (values.length - (of === 'sample' ? 1 : 0)));
}

/** Standard error of the mean. */
export function standardError(values: Values): number {
  return standardDeviation(values) / Math.sqrt(values.length);
}

/** Mean and population standard deviation, by which `(value - mean) / std` is a z-score; std is 0 when all are equal. */
export function standardise(values: Values): { mean: number; std: number } {
  return { mean: mean(values), std: standardDeviation(values, 'population') };
}
