import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import type { KeyRecipe, Noise } from '../../core/selection/keys.ts';
import { randomCut, randomRows } from '../../core/selection/random.ts';
import { collect, deal, fakeCorpus, merge, wholeShards } from './pool.ts';

/** Where all utilities are 0, neither the temperature nor the sign of the noise matters. */
const randomRecipe = (noise: Noise): KeyRecipe => ({ noise, temperature: 1, gumbel: 'exact' });

describe('random selection', () => {
  it('equals the selection by utilities of 0', async () => {
    const cases = fc.record({
      n: fc.integer({ min: 1, max: 400 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      seed: fc.maxSafeNat(),
      stage: fc.nat(100),
      arm: fc.constantFrom('main' as const, 'control' as const),
      jobs: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ n, share, jobs, ...noise }) => {
        const corpus = fakeCorpus(n, [0, Math.floor(n / 3), Math.floor(n / 3)]);
        const pool = wholeShards(corpus);
        const k = Math.max(1, Math.round(share * n));
        const scored = await merge(
          corpus,
          deal(pool, jobs, (p) => p, 29),
          new Float32Array(n),
          k,
          randomRecipe(noise),
        );
        const cut = randomCut(pool, k, noise);
        expect(cut).toEqual(scored.cut);
        expect(await collect(randomRows(pool, noise, cut))).toEqual(scored.selected);
      }),
      { numRuns: 100 },
    );
  });

  it('equals it for a pool that does not fit into one bracket, too', async () => {
    const n = 40_000;
    const corpus = fakeCorpus(n, [0, 15_000]);
    const noise = { seed: 5, stage: 1, arm: 'control' } as const;
    for (const k of [1, 8000, n - 1]) {
      const scored = await merge(corpus, [wholeShards(corpus)], new Float32Array(n), k, randomRecipe(noise));
      const cut = randomCut(wholeShards(corpus), k, noise);
      expect(cut).toEqual(scored.cut);
      expect((await collect(randomRows(wholeShards(corpus), noise, cut))).rows).toEqual(scored.selected.rows);
    }
  });

  it('refuses more rows than there are', () => {
    expect(() => randomCut([{ shard: 0, begin: 5, end: 9 }], 5, { seed: 1, stage: 0 })).toThrow(ConfigError);
  });
});
