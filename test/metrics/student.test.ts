import { expect, it } from 'vitest';
import { studentFactor } from '../../core/metrics/index.ts';

/** `scipy.stats.t.ppf(0.975, n - 1)` of SciPy 1.17, by n. */
const QUANTILES = {
  2: 12.7062,
  3: 4.3027,
  4: 3.1824,
  5: 2.7764,
  6: 2.5706,
  8: 2.3646,
  10: 2.2622,
  15: 2.1448,
  20: 2.093,
  21: 2.086,
  31: 2.0423,
  32: 2.0395,
  33: 2.0369,
  41: 2.0211,
  61: 2.0003,
  100: 1.9842,
  121: 1.9799,
  1000: 1.9623,
};

it("the factor of Student's interval is SciPy's, for few values and for many", () => {
  for (const [n, quantile] of Object.entries(QUANTILES)) expect(studentFactor(Number(n))).toBeCloseTo(quantile, 4);
});

it('decreases with every further value, and is not a number for a single one', () => {
  const factors = Array.from({ length: 200 }, (_, i) => studentFactor(i + 2));
  factors.slice(1).forEach((factor, i) => {
    expect(factor).toBeLessThan(factors[i]!);
  });
  expect(studentFactor(1)).toBeNaN();
});
