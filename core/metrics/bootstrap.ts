import { CounterRandom, STREAM } from '../random/philox.ts';

export interface Bootstrap {
  seed: number;
  stage?: number;
  resamples?: number;
  /** Share of resamples inside the interval. */
  confidence?: number;
}

/**
 * Percentile bootstrap interval of a statistic of pairs (Efron & Tibshirani 1993, ch. 13): pairs are drawn with
 * replacement. The same pairs and seed give the same interval.
 *
 * @param statistic of two series; a resample for which it is NaN does not count.
 * @returns [low, high]; percentiles are interpolated between resamples, as NumPy does by default.
 */
export function bootstrapInterval(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  statistic: (x: Float64Array, y: Float64Array) => number,
  { seed, stage = 0, resamples = 1000, confidence = 0.95 }: Bootstrap,
): [number, number] {
  const n = x.length;
  if (n === 0 || y.length !== n)
    throw new RangeError(`series of ${n} and ${y.length} values have no bootstrap interval`);
  const random = new CounterRandom(seed, STREAM.bootstrap, stage);
  const drawnX = new Float64Array(n);
  const drawnY = new Float64Array(n);
  const found: number[] = [];
  for (let resample = 0; resample < resamples; resample++) {
    for (let i = 0; i < n; i++) {
      const pair = random.below(resample * n + i, n);
      drawnX[i] = x[pair]!;
      drawnY[i] = y[pair]!;
    }
    const value = statistic(drawnX, drawnY);
    if (!Number.isNaN(value)) found.push(value);
  }
  const sorted = Float64Array.from(found).sort();
  const tail = (1 - confidence) / 2;
  return [quantile(sorted, tail), quantile(sorted, 1 - tail)];
}

function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}
