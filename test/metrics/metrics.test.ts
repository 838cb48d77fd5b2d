import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  bootstrapInterval,
  mean,
  pearson,
  ranks,
  spearman,
  standardDeviation,
  standardError,
  standardise,
} from '../../core/metrics/index.ts';
import { CounterRandom } from '../../core/random/philox.ts';

interface Case {
  name: string;
  x: (number | string)[];
  y: (number | string)[];
  ranks: number[];
  spearman: number;
  pearson: number | null;
  mean: number | null;
  std: number | null;
  standardError: number | null;
}
/** Written by test/parity/scipy_metrics.py. */
const cases: Case[] = JSON.parse(readFileSync(new URL('scipy.json', import.meta.url), 'utf8'));
const decode = (values: (number | string)[]) =>
  values.map((value) => (value === 'inf' ? Infinity : value === '-inf' ? -Infinity : Number(value)));

describe.each(cases)('SciPy says the same of "$name"', (expected) => {
  const x = decode(expected.x);
  const y = decode(expected.y);

  it('ranks and correlations', () => {
    expect(Array.from(ranks(x))).toEqual(expected.ranks);
    expect(spearman(x, y)).toBeCloseTo(expected.spearman, 12);
    if (expected.pearson !== null) expect(pearson(x, y)).toBeCloseTo(expected.pearson, 12);
  });

  it('moments', () => {
    if (expected.mean === null) return;
    expect(mean(x)).toBeCloseTo(expected.mean, 9);
    expect(standardise(x).std).toBeCloseTo(expected.std!, 9);
    expect(standardError(x)).toBeCloseTo(expected.standardError!, 9);
  });
});

describe('correlation', () => {
  it('is 0 with a constant series, even one whose mean is not exact', () => {
    expect(spearman([1, 1, 1], [1, 2, 3])).toBe(0);
    expect(pearson([1, 2, 3], [0.1, 0.1, 0.1])).toBe(0);
    expect(spearman([], [])).toBe(0);
  });

  it('is NaN where a value is', () => {
    expect(spearman([1, NaN, 3], [1, 2, 3])).toBeNaN();
  });

  it('refuses series of different lengths', () => {
    expect(() => pearson([1, 2], [1])).toThrow(RangeError);
  });
});

describe('bootstrapInterval', () => {
  const random = new CounterRandom(3, 0);
  const n = 200;
  const x = Array.from({ length: n }, (_, i) => random.normal(i));
  const y = x.map((value, i) => value + random.normal(n + i));
  const of = (statistic: typeof pearson) => (drawn: Uint32Array) =>
    statistic(
      Float64Array.from(drawn, (i) => x[i]!),
      Float64Array.from(drawn, (i) => y[i]!),
    );

  it('holds the statistic, and is the same for the same seed', () => {
    const [low, high] = bootstrapInterval(n, of(spearman), { seed: 1 });
    const found = spearman(x, y);
    expect(low).toBeLessThan(found);
    expect(high).toBeGreaterThan(found);
    expect(bootstrapInterval(n, of(spearman), { seed: 1 })).toEqual([low, high]);
    expect(bootstrapInterval(n, of(spearman), { seed: 1, stage: 1 })).not.toEqual([low, high]);
  });

  it('is as wide as theory says', () => {
    // Fisher: the standard error of atanh(r) is 1/sqrt(n - 3).
    const [low, high] = bootstrapInterval(n, of(pearson), { seed: 2 }).map(Math.atanh) as [number, number];
    const width = (2 * 1.96) / Math.sqrt(n - 3);
    expect((high - low) / width).toBeGreaterThan(0.75);
    expect((high - low) / width).toBeLessThan(1.3);
  });

  it('leaves out the lowest and the highest fortieth of the resamples', () => {
    // Whole numbers below 100, all of them equally likely.
    const [low, high] = bootstrapInterval(100, ([first]) => first!, { seed: 4, resamples: 4000 });
    expect(Math.abs(low - 2)).toBeLessThanOrEqual(1);
    expect(Math.abs(high - 97)).toBeLessThanOrEqual(1);
  });
});

it('gives NaN for the deviation of one value, and 0 in a population of one', () => {
  expect(standardDeviation([5])).toBeNaN();
  expect(standardDeviation([5], 'population')).toBe(0);
});
