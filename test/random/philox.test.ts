import { describe, expect, it } from 'vitest';
import { CounterRandom, gumbelOf, permutation, STREAM } from '../../core/random/philox.ts';
import { SPAN } from '../../core/random/philox-span.ts';
import { philox4x32 } from '../../core/random/philox4x32.ts';

describe('philox4x32', () => {
  // Known answers of Random123, tests/kat_vectors: philox4x32, 10 rounds.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('counter %j key %j', (counter, key, expected) => {
    const [c0, c1, c2, c3] = counter as [number, number, number, number];
    const [k0, k1] = key as [number, number];
    const out = new Uint32Array(4);
    philox4x32(c0, c1, c2, c3, k0, k1, out);
    expect(Array.from(out)).toEqual(expected);
  });

  it('multiplies as 64-bit integers do', () => {
    const reference = (counter: bigint[], key: bigint[]) => {
      let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
      let [k0, k1] = key as [bigint, bigint];
      const mask = 0xffffffffn;
      for (let round = 0; round < 10; round++) {
        const p0 = 0xd2511f53n * c0;
        const p1 = 0xcd9e8d57n * c2;
        [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
        k0 = (k0 + 0x9e3779b9n) & mask;
        k1 = (k1 + 0xbb67ae85n) & mask;
      }
      return [c0, c1, c2, c3].map(Number);
    };
    const random = new CounterRandom(99, 0);
    const out = new Uint32Array(4);
    for (let trial = 0; trial < 2000; trial++) {
      const words = Array.from({ length: 6 }, (_, i) => random.below(6 * trial + i, 2 ** 32));
      const [c0, c1, c2, c3, k0, k1] = words as [number, number, number, number, number, number];
      philox4x32(c0, c1, c2, c3, k0, k1, out);
      const counter = [c0, c1, c2, c3].map(BigInt);
      expect(Array.from(out)).toEqual(reference(counter, [BigInt(k0), BigInt(k1)]));
    }
  });
});

describe('CounterRandom', () => {
  it('keeps its values for ever: old runs must stay reproducible', () => {
    const random = new CounterRandom(1, STREAM.gumbel, 2);
    const far = new CounterRandom(2 ** 40 + 5, STREAM.bootstrap, 99);
    expect([random.uniform(0), random.uniform(2 ** 32 + 1), far.uniform(7)]).toMatchInlineSnapshot(`
      [
        0.9031374942548807,
        0.2779773798858651,
        0.08694656387116778,
      ]
    `);
  });

  it('differs by seed, upper half of the seed, stream, stage and upper half of the index', () => {
    const values = [
      new CounterRandom(1, 0, 0).uniform(0),
      new CounterRandom(2, 0, 0).uniform(0),
      new CounterRandom(1 + 2 ** 32, 0, 0).uniform(0),
      new CounterRandom(1, 1, 0).uniform(0),
      new CounterRandom(1, 0, 1).uniform(0),
      new CounterRandom(1, 0, 0).uniform(2 ** 32),
    ];
    expect(new Set(values).size).toBe(6);
    expect(new Set(Object.values(STREAM)).size).toBe(Object.keys(STREAM).length);
  });

  it('draws uniform, Gumbel and normal numbers with the moments they should have', () => {
    const n = 100_000;
    const random = new CounterRandom(4, 0);
    const moments = (draw: (i: number) => number) => {
      const values = Array.from({ length: n }, (_, i) => draw(i));
      const mean = values.reduce((a, b) => a + b) / n;
      return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n];
    };
    const within = ([mean, variance]: number[], expected: [number, number]) => {
      expect(Math.abs(mean! - expected[0])).toBeLessThan(5 * Math.sqrt(expected[1] / n));
      expect(Math.abs(variance! / expected[1] - 1)).toBeLessThan(0.03);
    };
    within(
      moments((i) => random.uniform(i)),
      [0.5, 1 / 12],
    );
    within(
      moments((i) => random.gumbel(i)),
      [0.5772156649, Math.PI ** 2 / 6],
    );
    within(
      moments((i) => random.normal(i)),
      [0, 1],
    );
    within(
      moments((i) => random.below(i, 10)),
      [4.5, 8.25],
    );
  });

  it('has a finite Gumbel value at both ends of the uniform numbers', () => {
    expect(gumbelOf(0.5 * 2 ** -53)).toBeCloseTo(-3.62, 2);
    expect(gumbelOf(1 - 2 ** -53)).toBeCloseTo(36.74, 2);
  });
});

describe('permutation', () => {
  it('holds every number once, in the same order for the same seed', () => {
    const order = permutation(1000, new CounterRandom(8, STREAM.trainingOrder, 1));
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(permutation(1000, new CounterRandom(8, STREAM.trainingOrder, 1))).toEqual(order);
    expect(permutation(1000, new CounterRandom(8, STREAM.trainingOrder, 2))).not.toEqual(order);
  });

  it.each([0, 1, 2, SPAN - 1, SPAN, SPAN + 1, 2 * SPAN, 2 * SPAN + 1, 3 * SPAN + 100])(
    'of %i numbers is Fisher-Yates with the draw of each place',
    (n) => {
      const random = new CounterRandom(2 ** 40 + 5, STREAM.probeSample, 3);
      const expected = Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = random.below(i, i + 1);
        [expected[i], expected[j]] = [expected[j]!, expected[i]!];
      }
      expect(Array.from(permutation(n, random))).toEqual(expected);
    },
  );

  it('puts each number in each place equally often', () => {
    const found = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = permutation(3, new CounterRandom(seed, 0)).join('');
      found.set(order, (found.get(order) ?? 0) + 1);
    }
    expect(found.size).toBe(6);
    for (const count of found.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000));
  });
});
