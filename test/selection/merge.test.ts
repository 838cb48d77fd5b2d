import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, RunError } from '../../core/errors.ts';
import type { KeyRecipe } from '../../core/selection/keys.ts';
import { findCut, openScores, selectedRows } from '../../core/selection/merging/merge.ts';
import { collect, deal, fakeCorpus, merge, naive, score, wholeShards } from './pool.ts';

const exact: KeyRecipe = { noise: { seed: 7, stage: 1 }, temperature: 0.5, gumbel: 'exact' };

/** Utilities of every kind that must not disturb the order: ties, constants, infinities, denormals, huge ones. */
const utility = fc.oneof(
  { weight: 4, arbitrary: fc.float({ noNaN: true, min: -4, max: 4 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, 1, -1) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity) },
  { weight: 1, arbitrary: fc.float({ noNaN: true }) },
);
const manyUtilities = fc.oneof(
  fc.array(utility, { minLength: 1, maxLength: 300 }),
  fc.tuple(utility, fc.integer({ min: 1, max: 300 })).map(([value, n]) => new Array<number>(n).fill(value)),
);

const pools = fc.record({
  values: manyUtilities,
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  shardStarts: fc.array(fc.nat(300), { maxLength: 6 }),
  jobs: fc.integer({ min: 1, max: 9 }),
  partRows: fc.integer({ min: 1, max: 400 }),
  dealing: fc.array(fc.nat(8), { minLength: 1, maxLength: 20 }),
  temperature: fc.constantFrom(1e-3, 0.1, 0.5, 1, 50, 1e6),
  gumbel: fc.constantFrom('exact' as const, 'reference-code' as const),
  seed: fc.maxSafeNat(),
});

describe('merge', () => {
  it('selects what a full sort selects, however the rows are dealt to shards and jobs', async () => {
    await fc.assert(
      fc.asyncProperty(pools, async ({ values, share, shardStarts, jobs, partRows, dealing, ...rest }) => {
        const n = values.length;
        const utilities = Float32Array.from(values);
        const k = Math.max(1, Math.round(share * n));
        const starts = [0, ...shardStarts.map((at) => Math.min(at, n)).sort((a, b) => a - b)];
        const corpus = fakeCorpus(n, starts);
        const recipe: KeyRecipe = { ...exact, noise: { seed: rest.seed, stage: 3 }, ...rest };
        delete (recipe as { seed?: number }).seed;
        const dealt = deal(wholeShards(corpus), jobs, (part) => dealing[part % dealing.length]!, partRows);
        const { selected } = await merge(corpus, dealt, utilities, k, recipe);
        expect(selected.rows).toEqual(naive(wholeShards(corpus), utilities, k, recipe));
        expect(selected.utilities).toEqual(selected.rows.map((row) => utilities[row]));
      }),
      { numRuns: 300 },
    );
  });

  it('selects the same rows for 1, 2, 5 and 37 jobs, in any order of the jobs', async () => {
    const n = 1000;
    const corpus = fakeCorpus(n, [0, 1, 1, 400, 401, 900]);
    const utilities = Float32Array.from({ length: n }, (_, i) => Math.sin(i) * 2);
    const results = [];
    for (const jobs of [1, 2, 5, 37]) {
      const dealt = deal(wholeShards(corpus), jobs, (part) => part, 13);
      results.push((await merge(corpus, dealt, utilities, 200, exact)).selected);
      results.push((await merge(corpus, dealt.toReversed(), utilities, 200, exact)).selected);
    }
    for (const result of results) expect(result).toEqual(results[0]);
    expect(results[0]!.rows).toHaveLength(200);
  });

  it('keeps every row when k is the pool and one when k is 1', async () => {
    const corpus = fakeCorpus(50, [0, 20]);
    const utilities = Float32Array.from({ length: 50 }, (_, i) => (i === 33 ? Infinity : i % 4));
    const jobs = [wholeShards(corpus)];
    expect((await merge(corpus, jobs, utilities, 50, exact)).selected.rows).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
    expect((await merge(corpus, jobs, utilities, 1, exact)).selected.rows).toEqual([33]);
  });

  it('keeps the lowest rows among equal keys', async () => {
    const corpus = fakeCorpus(40, [0, 10, 25]);
    const utilities = new Float32Array(40).fill(Infinity);
    const { cut, selected } = await merge(
      corpus,
      deal(wholeShards(corpus), 3, (part) => part, 4),
      utilities,
      9,
      exact,
    );
    expect(selected.rows).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(cut.tiesKept).toBe(9);
  });

  it('refuses a selection larger than the pool, with the numbers', async () => {
    const corpus = fakeCorpus(10);
    const merging = merge(corpus, [wholeShards(corpus)], new Float32Array(10), 11, exact);
    await expect(merging).rejects.toThrow(ConfigError);
    await expect(merging).rejects.toThrow('cannot select 11 rows from a candidate pool of 10');
  });

  it('reads only the critical group to cut, and only selected groups to list', async () => {
    const n = 20_000;
    const corpus = fakeCorpus(n);
    const utilities = Float32Array.from({ length: n }, (_, i) => Math.cos(i));
    const { store, prefixes } = await score(
      corpus,
      deal(wholeShards(corpus), 4, (p) => p, 5000),
      utilities,
      exact,
    );
    const pool = await openScores(store, prefixes, exact, wholeShards(corpus));
    store.reads.length = 0;
    const cut = await findCut(store, pool, n / 5);
    const cutting = store.reads.splice(0);
    expect(cutting).toHaveLength(4);
    expect(cutting.every(({ key, ranged }) => ranged && key.endsWith('keys.bin'))).toBe(true);
    expect(cutting.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(0.02 * 12 * n);
    await collect(selectedRows(store, pool, cut));
    expect(store.reads).toHaveLength(4);
    expect(store.reads.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(0.22 * 12 * n);
  });

  it('counts rows of domains whose names are members of every object', async () => {
    const corpus = fakeCorpus(30);
    for (const [i, name] of ['constructor', '__proto__', 'web'].entries()) corpus.index.domains[i]!.name = name;
    const { store, prefixes } = await score(corpus, [wholeShards(corpus)], new Float32Array(30), exact);
    const { domains } = await openScores(store, prefixes, exact, wholeShards(corpus));
    expect(Object.entries(domains).sort()).toEqual([
      ['__proto__', 10],
      ['constructor', 10],
      ['web', 10],
    ]);
  });

  it('refuses unfinished, foreign, duplicate and missing scores', async () => {
    const corpus = fakeCorpus(30, [0, 10, 20]);
    const [a, b, c] = wholeShards(corpus);
    const utilities = new Float32Array(30);
    const { store, prefixes } = await score(corpus, [[a!], [b!], [c!]], utilities, exact);
    const open = (recipe = exact, wanted = prefixes) => openScores(store, wanted, recipe, wholeShards(corpus));
    await expect(open()).resolves.toMatchObject({ rows: 30, domains: { code: 10, essays: 10, letters: 10 } });
    await expect(open({ ...exact, temperature: 1 })).rejects.toThrow('temperature 0.5, gumbel exact, not for seed 7');
    const ofLater = { ...exact, noise: { ...exact.noise, stage: 2 } };
    await expect(open(ofLater)).rejects.toThrow('for seed 7, stage 1, main arm');
    const ofControl = { ...exact, noise: { ...exact.noise, arm: 'control' } } as const;
    await expect(open(ofControl)).rejects.toThrow('main arm, temperature 0.5, gumbel exact, not for');
    await expect(open(exact, prefixes.slice(0, 2))).rejects.toThrow('rows 0 to 30 expected, rows 0 to 20 found');
    await expect(open(exact, [...prefixes, prefixes[1]!])).rejects.toThrow(RunError);
    await store.delete(`${prefixes[1]}/index.json`);
    await expect(open()).rejects.toThrow('stages/1/scores/00001/index.json is missing');
  });
});
