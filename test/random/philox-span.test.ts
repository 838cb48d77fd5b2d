import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CounterRandom, STREAM, uniformOf } from '../../core/random/philox.ts';
import { PhiloxSpan, SPAN } from '../../core/random/philox-span.ts';
import { philox4x32 } from '../../core/random/philox4x32.ts';

it('gives the numbers of CounterRandom, whatever the seed, stream, stage and index', () => {
  const index = fc.oneof(fc.maxSafeNat(), fc.integer({ min: 2 ** 32 - 50, max: 2 ** 32 + 50 }));
  const counts = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(SPAN - 1, SPAN, SPAN + 1));
  const stage = fc.integer({ min: 0, max: 2 ** 31 });
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.constantFrom(...Object.values(STREAM)), stage, index, counts, (...given) => {
      const [seed, stream, stage, first, count] = given;
      const span = new PhiloxSpan(seed, stream, stage);
      const one = new CounterRandom(seed, stream, stage);
      const written = span.fill(first, count);
      const toBoundary = 2 ** 32 - (first % 2 ** 32);
      expect(written).toBe(Math.min(count, SPAN, toBoundary));
      for (let i = 0; i < written; i++) expect(uniformOf(span.word0[i]!, span.word1[i]!)).toBe(one.uniform(first + i));
    }),
    { numRuns: 60 },
  );
});

it('has the words of philox4x32', () => {
  const span = new PhiloxSpan(2 ** 40 + 7, 3, 5);
  span.fill(2 ** 33 + 10, 2);
  const words = new Uint32Array(4);
  philox4x32(11, 2, 5, 3, 7, 2 ** 8, words);
  expect([span.word0[1], span.word1[1]]).toEqual([words[0], words[1]]);
});
