/** Differences of runs of the same seeds. */
import { bootstrapInterval, mean, standardError, studentFactor } from '../metrics/index.ts';

/** A mean of paired differences; negative is better than the baseline. */
export interface Difference {
  seeds: number;
  mean: number;
  /** 95 % by the percentile bootstrap over seeds, and by Student's t, which is honest for few seeds; absent for one. */
  bootstrap?: [number, number];
  student?: [number, number];
}

/** The mean of paired differences with its intervals. */
export function differenceOf(values: number[]): Difference {
  const difference: Difference = { seeds: values.length, mean: mean(values) };
  if (values.length < 2) return difference;
  const half = studentFactor(values.length) * standardError(values);
  return {
    ...difference,
    bootstrap: bootstrapInterval(values.length, (drawn) => mean(Float64Array.from(drawn, (i) => values[i]!)), {
      seed: 1,
      resamples: 10_000,
    }),
    student: [difference.mean - half, difference.mean + half],
  };
}
