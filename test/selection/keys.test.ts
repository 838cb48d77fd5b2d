import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import { keyFunction, keyValue, noiseOf, orderedKey } from '../../core/selection/keys.ts';

describe('orderedKey', () => {
  it('orders as float32 does, with infinities, denormals and one zero', () => {
    const number = fc.float({ noNaN: true });
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(Math.sign(orderedKey(a) - orderedKey(b))).toBe(a === b ? 0 : a < b ? -1 : 1);
        expect(keyValue(orderedKey(a))).toBe(a + 0);
      }),
    );
    const ascending = [-Infinity, -1, -1.5e-45, 0, 1.5e-45, 1e-38, 1, 3.4e38, Infinity].map(orderedKey);
    expect(ascending).toEqual(ascending.toSorted((a, b) => a - b));
    expect(new Set(ascending).size).toBe(9);
    expect(orderedKey(-0)).toBe(orderedKey(0));
    expect(orderedKey(-1e-60)).toBe(orderedKey(0)); // rounds to -0
  });
});

describe('keyFunction', () => {
  const noise = { seed: 3, stage: 2 };

  it('is u/T plus the noise, or minus it as the published code has it', () => {
    const gumbel = new CounterRandom(3, STREAM.gumbel, 2).gumbel(1234);
    const utility = Math.fround(-0.7);
    const exact = keyFunction({ noise, temperature: 0.5, gumbel: 'exact' })(1234, utility);
    expect(keyValue(exact)).toBe(Math.fround(utility / 0.5 + gumbel));
    const published = keyFunction({ noise, temperature: 0.5, gumbel: 'reference-code' })(1234, utility);
    const prediction = -utility;
    expect(keyValue(published)).toBe(Math.fround(-(prediction / 0.5 + gumbel)));
  });

  it('has other noise for each seed, stage and arm', () => {
    const first = (...args: Parameters<typeof noiseOf>) =>
      Array.from({ length: 20 }, (_, i) => noiseOf(...args).gumbel(i));
    const all = [
      first({ seed: 1, stage: 1 }),
      first({ seed: 1, stage: 2 }),
      first({ seed: 2, stage: 1 }),
      first({ seed: 1, stage: 1, arm: 'control' }),
    ];
    expect(new Set(all.flat()).size).toBe(80);
    expect(first({ seed: 1, stage: 1, arm: 'main' })).toEqual(all[0]);
  });

  it('samples without replacement by the softmax of u/T', () => {
    // Exact inclusion probabilities for k = 2 of 4, over both orders of drawing, against 20,000 seeded selections.
    const utilities = [0, 0.5, 1, -0.3].map(Math.fround);
    const temperature = 0.7;
    const weights = utilities.map((u) => Math.exp(u / temperature));
    const total = weights.reduce((a, b) => a + b);
    const expected = weights.map((w, i) =>
      weights.reduce((p, v, j) => (j === i ? p : p + (v / total) * (w / (total - v))), w / total),
    );
    const trials = 20_000;
    const found = [0, 0, 0, 0];
    for (let seed = 0; seed < trials; seed++) {
      const keyOf = keyFunction({ noise: { seed, stage: 1 }, temperature, gumbel: 'exact' });
      const order = [0, 1, 2, 3].sort((a, b) => keyOf(b, utilities[b]!) - keyOf(a, utilities[a]!));
      for (const row of order.slice(0, 2)) found[row]! += 1;
    }
    found.forEach((count, i) => {
      const deviation = Math.sqrt((expected[i]! * (1 - expected[i]!)) / trials);
      expect(Math.abs(count / trials - expected[i]!)).toBeLessThan(4 * deviation);
    });
  });
});
