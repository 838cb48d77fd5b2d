import { CounterRandom, STREAM } from '../random/philox.ts';

/** Share of resamples inside the interval. */
const CONFIDENCE = 0.95;

export interface Bootstrap {
  seed: number;
  stage?: number;
  resamples?: number;
}

/**
 * Percentile bootstrap interval of a statistic of a sample of `n` (Efron & Tibshirani 1993, ch. 13); each resample
 * draws `n` with replacement. The same sample and seed give the same interval.
 *
 * @param statistic gets the places in the sample of those drawn; a resample for which it is NaN does not count.
 * @returns [low, high]; percentiles are interpolated between resamples, as NumPy does by default.
 */
export function bootstrapInterval(
  n: number,
  statistic: (drawn: Uint32Array) => number,
  { seed, stage = 0, resamples = 1000 }: Bootstrap,
): [number, number] {
  if (n === 0) throw new RangeError('an empty sample has no bootstrap interval');
  const random = new CounterRandom(seed, STREAM.bootstrap, stage);
  const drawn = new Uint32Array(n);
  const found: number[] = [];
  for (let resample = 0; resample < resamples; resample++) {
    for (let i = 0; i < n; i++) drawn[i] = random.below(resample * n + i, n);
    const value = statistic(drawn);
    if (!Number.isNaN(value)) found.push(value);
  }
  const sorted = Float64Array.from(found).sort();
  const tail = (1 - CONFIDENCE) / 2;
  return [quantile(sorted, tail), quantile(sorted, 1 - tail)];
}

function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}
