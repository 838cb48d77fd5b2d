import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, RunError } from '../../core/errors.ts';
import type { RowRange } from '../../core/formats.ts';
import { CounterRandom, gumbelOf, uniformOf } from '../../core/random/philox.ts';
import { SPAN } from '../../core/random/philox-span.ts';
import { type KeyRecipe, keyFunction, keyOfGumbel, orderedKey } from '../../core/selection/keys.ts';
import { boundsOf, INTERVALS, sampleBracket } from '../../core/selection/merging/bracket.ts';
import { Decider } from '../../core/selection/merging/decide.ts';
import { inMemoryRows, selectInMemory, selectWithin } from '../../core/selection/merging/one-process.ts';
import { collect, deal, fakeCorpus, merge, naive, wholeShards } from './pool.ts';

const exact: KeyRecipe = { noise: { seed: 7, stage: 1 }, temperature: 0.5, gumbel: 'exact' };
const oneRange = (rows: number, begin = 0): RowRange[] => [{ shard: 0, begin, end: begin + rows }];

const utility = fc.oneof(
  { weight: 4, arbitrary: fc.float({ noNaN: true, min: -4, max: 4 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, 1, -1) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity) },
  { weight: 1, arbitrary: fc.float({ noNaN: true }) },
);
const recipes = fc.record({
  noise: fc.record({ seed: fc.maxSafeNat(), stage: fc.nat(99), arm: fc.constantFrom('main', 'control') }),
  temperature: fc.constantFrom(1e-30, 1e-3, 0.1, 0.5, 1, 50, 1e6, 1e300),
  gumbel: fc.constantFrom('exact', 'reference-code', 'none'),
}) as fc.Arbitrary<KeyRecipe>;

describe('selectInMemory on small pools', () => {
  it('selects what the merge of several jobs selects, with the same cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(utility, { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.nat(300), { maxLength: 6 }),
        recipes.filter(({ temperature }) => temperature < 1e300), // its JSON is the same; the merge need not bear it
        async (values, share, shardStarts, recipe) => {
          const n = values.length;
          const k = Math.max(1, Math.round(share * n));
          const utilities = Float32Array.from(values);
          const corpus = fakeCorpus(n, [0, ...shardStarts.map((at) => Math.min(at, n)).sort((a, b) => a - b)]);
          const ranges = wholeShards(corpus);
          const merged = await merge(
            corpus,
            deal(ranges, 3, (part) => part, 17),
            utilities,
            k,
            recipe,
          );
          const selection = selectInMemory({ ranges, utilities }, k, recipe);
          expect(selection.cut).toEqual(merged.cut);
          expect(Array.from(selection.positions)).toEqual(merged.selected.rows);
          expect(await collect(inMemoryRows(selection, { ranges, utilities }, recipe))).toEqual(merged.selected);
        },
      ),
    );
  });

  it('takes one row, all rows, an empty range and a range across 2^32', () => {
    expect(selectInMemory({ ranges: oneRange(1), utilities: Float32Array.of(-Infinity) }, 1, exact).positions).toEqual(
      Uint32Array.of(0),
    );
    const ranges = [...oneRange(0, 3), ...oneRange(40, 2 ** 32 - 20), ...oneRange(0, 2 ** 33), ...oneRange(5, 2 ** 34)];
    const utilities = Float32Array.from({ length: 45 }, (_, i) => i % 7);
    for (const k of [1, 9, 45]) {
      const pool = { ranges, utilities };
      const rows = [...inMemoryRows(selectInMemory(pool, k, exact), pool, exact)].flatMap((part) => [...part.rows]);
      const place = (row: number) => (row >= 2 ** 34 ? row - 2 ** 34 + 40 : row - 2 ** 32 + 20);
      const byPlace = new Float32Array(utilities);
      const keyOf = keyFunction(exact);
      const all = [...ranges].flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i));
      const sorted = all.sort((a, b) => keyOf(b, byPlace[place(b)]!) - keyOf(a, byPlace[place(a)]!) || a - b);
      expect(rows).toEqual(sorted.slice(0, k).sort((a, b) => a - b));
    }
  });

  it('refuses NaN by its row, more rows than there are, and utilities that do not match', () => {
    const utilities = Float32Array.of(1, 2, NaN, 4);
    const ranges = [...oneRange(1, 10), ...oneRange(3, 50)];
    const select = (k: number, values: Float32Array) => selectInMemory({ ranges, utilities: values }, k, exact);
    expect(() => select(2, utilities)).toThrow(RunError);
    expect(() => select(2, utilities)).toThrow('row 51: its utility is not a number');
    expect(() => select(5, new Float32Array(4))).toThrow(ConfigError);
    expect(() => select(0, new Float32Array(4))).toThrow(ConfigError);
    expect(() => select(2, new Float32Array(3))).toThrow('3 utilities for 4 rows');
    const descending = { ranges: ranges.toReversed(), utilities: new Float32Array(4) };
    expect(() => selectInMemory(descending, 2, exact)).toThrow('rows 10 to 11: ranges of scored rows must ascend');
  });
});

describe('Decider', () => {
  it('has bounds that hold for every utility of an interval, even one word beyond them', () => {
    const level = fc.float({ noNaN: true, min: -1e3, max: 1e3 });
    fc.assert(
      fc.property(recipes, level, fc.float({ min: 0, max: 3, noNaN: true }), level, (recipe, value, width, offset) => {
        const bracket = { low: orderedKey(value), high: orderedKey(value + width) };
        const { perTemperature, base, scale, table, flip } = boundsOf(bracket, recipe);
        const keyOf = keyOfGumbel(recipe);
        const utility = Math.fround((value + offset / 25) * recipe.temperature);
        const place = Math.fround(Math.fround(Math.fround(utility * perTemperature) - base) * scale);
        const interval = Math.max(0, Math.min(INTERVALS - 1, Math.trunc(place)));
        const [below, above] = [table[2 * interval]!, table[2 * interval + 1]!];
        for (const word1 of [0, 0xffffffff]) {
          const key = (word: number) => keyOf(utility, gumbelOf(uniformOf((word ^ flip) >>> 0, word1)));
          if (below > 0) expect(key(below - 1)).toBeLessThan(bracket.low);
          if (above < 0xffffffff) expect(key(above + 1)).toBeGreaterThan(bracket.high);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('takes a row to be above or below a bracket only where its key is', () => {
    const level = fc.oneof(fc.float({ noNaN: true, min: -5, max: 30 }), fc.float({ noNaN: true }));
    fc.assert(
      fc.property(
        recipes,
        utility,
        fc.float({ min: 0, max: 3, noNaN: true }),
        level,
        level,
        (recipe, centre, ...rest) => {
          const [spread, a, b] = rest;
          const random = new CounterRandom(3, 1000);
          const utilities = Float32Array.from({ length: 1001 }, (_, i) => centre + spread * random.normal(i));
          const bracket = { low: Math.min(orderedKey(a), orderedKey(b)), high: Math.max(orderedKey(a), orderedKey(b)) };
          const decider = new Decider(recipe.noise, boundsOf(bracket, recipe));
          if (utilities.some(Number.isNaN)) return expect(decider.decide(77, utilities)).toBeUndefined();
          expect(decider.decide(77, utilities)).toBe(1001);
          const keyOf = keyFunction(recipe);
          const above = new Set(decider.above.subarray(0, decider.aboveCount));
          const open = new Set(decider.open.subarray(0, decider.openCount));
          const wrong = utilities.findIndex((value, i) => {
            const key = keyOf(77 + i, value);
            return above.has(i) ? key <= bracket.high : !open.has(i) && key >= bracket.low;
          });
          expect(wrong).toBe(-1);
          return undefined;
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves every row open for a bracket that reaches near the largest float32', () => {
    const recipe = { ...exact, temperature: 1 };
    const bracket = { low: orderedKey(0), high: orderedKey(3.402397941431804e38) };
    const decider = new Decider(recipe.noise, boundsOf(bracket, recipe));
    decider.decide(77, new Float32Array(8).fill(3.401986005692754e38));
    expect([decider.aboveCount, decider.openCount]).toEqual([0, 8]);
  });

  it('leaves few rows open for an ordinary bracket, with the noise added or subtracted', () => {
    for (const gumbel of ['exact', 'reference-code'] as const) {
      const recipe = { ...exact, gumbel };
      const random = new CounterRandom(4, 1000);
      const utilities = Float32Array.from({ length: SPAN }, (_, i) => random.normal(i));
      const bounds = boundsOf({ low: orderedKey(2.3), high: orderedKey(2.35) }, recipe);
      const decider = new Decider(recipe.noise, bounds);
      decider.decide(0, utilities);
      expect(decider.openCount).toBeLessThan(0.03 * SPAN);
      expect(decider.aboveCount).toBeGreaterThan(0.05 * SPAN);
    }
  });
});

describe('selectInMemory on large pools', () => {
  const n = 140_000;
  const random = new CounterRandom(5, 1000);
  const normal = Float32Array.from({ length: n }, (_, i) => random.normal(i));
  /** Places that `sampleBracket` looks at. */
  const sampled = Array.from({ length: 65536 }, (_, i) =>
    Math.floor(((i + ((i * ((Math.sqrt(5) - 1) / 2)) % 1)) / 65536) * n),
  );

  const pools: Record<string, Float32Array> = {
    normal,
    constant: new Float32Array(n).fill(3.25),
    'far from zero': normal.map((value) => 1e4 + value),
    'few values': normal.map((value) => Math.round(value)),
    'mostly minus infinity': normal.map((value) => (value > 1.2 ? value : -Infinity)),
    'infinities only': normal.map((value) => (value > 0 ? Infinity : -Infinity)),
    'all plus infinity': new Float32Array(n).fill(Infinity),
    'heavy tails': normal.map((value) => value ** 21),
    sorted: normal.toSorted(),
    'periodic in the sample': normal.map((value, i) => value + 3 * Math.sin((2 * Math.PI * i * 65536) / n)),
  };
  const misleading = normal.slice();
  for (const position of sampled) misleading[position] = 1000;
  pools['with outliers where it is sampled'] = misleading;

  it.each(Object.entries(pools))('selects what a sort selects: %s', (_, utilities) => {
    const firstRow = 2 ** 32 - 30_000;
    const ranges = [...oneRange(30_001, firstRow), ...oneRange(n - 30_001, firstRow + 30_001)];
    for (const [temperature, gumbel] of [
      [0.5, 'exact'],
      [0.5, 'reference-code'],
      [1e-3, 'exact'],
      [1e3, 'exact'],
      [0.5, 'none'],
    ] as const) {
      const recipe = { ...exact, gumbel, temperature } as KeyRecipe;
      const keyOf = keyFunction(recipe);
      const keys = Uint32Array.from(utilities, (value, i) => keyOf(firstRow + i, value));
      const sorted = keys.toSorted().reverse();
      for (const k of [1, 13, n / 5, n - 3, n]) {
        const { cut, positions } = selectInMemory({ ranges, utilities }, k, recipe);
        const threshold = sorted[k - 1]!;
        const tiesKept = k - sorted.indexOf(threshold);
        expect(cut).toEqual({ threshold, tiesKept });
        let ties = tiesKept;
        const picked = Array.from(keys.keys()).filter(
          (i) => keys[i]! > threshold || (keys[i] === threshold && ties-- > 0),
        );
        expect(Buffer.from(positions.buffer).equals(Buffer.from(Uint32Array.from(picked).buffer))).toBe(true);
      }
    }
  });

  it('gives no selection for a bracket that misses the cut, by however little', () => {
    const pool = { ranges: oneRange(30_000), utilities: normal.subarray(0, 30_000) };
    const k = 6000;
    const right = selectInMemory(pool, k, exact);
    const offset = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -60_000, max: 60_000 }));
    let [inside, outside] = [0, 0];
    fc.assert(
      fc.property(offset, fc.integer({ min: 0, max: 100_000 }), (from, width) => {
        const low = right.cut.threshold + from;
        const found = selectWithin(pool, k, exact, { low, high: low + width });
        const holdsIt = from <= 0 && from + width >= 0;
        if (holdsIt) inside++;
        else outside++;
        expect(found).toEqual(holdsIt ? right : undefined);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(inside, outside)).toBeGreaterThan(20);
  });

  it('notices that outliers have misled the sample', () => {
    const pool = { ranges: oneRange(n), utilities: misleading };
    const { low } = sampleBracket(pool, n / 4, exact);
    const { cut } = selectInMemory(pool, n / 4, exact);
    expect(cut.threshold).toBeLessThan(low);
  });

  it('refuses NaN by its row', () => {
    const utilities = normal.slice();
    utilities[123_456] = NaN;
    expect(() => selectInMemory({ ranges: oneRange(n, 1000), utilities }, n / 5, exact)).toThrow('row 124456: ');
  });

  it('hands on the rows of a long range in parts', async () => {
    const rows = 2_200_000;
    const pool = { ranges: oneRange(rows, 5), utilities: new Float32Array(rows) };
    const selection = selectInMemory(pool, 1000, exact);
    const parts = [...inMemoryRows(selection, pool, exact)];
    expect(parts.length).toBe(3);
    const all = await collect(parts);
    expect(all.rows).toEqual(Array.from(selection.positions, (position) => position + 5));
    const keyOf = keyFunction(exact);
    expect(all.keys).toEqual(all.rows.map((row) => keyOf(row, 0)));
    expect(Math.min(...all.keys)).toBe(selection.cut.threshold);
  });
});

it('agrees with the plain sort of the other tests', () => {
  const corpus = fakeCorpus(500, [0, 100, 100, 350]);
  const utilities = Float32Array.from({ length: 500 }, (_, i) => Math.sin(i));
  const ranges = wholeShards(corpus);
  const { positions } = selectInMemory({ ranges, utilities }, 77, exact);
  expect(Array.from(positions)).toEqual(naive(ranges, utilities, 77, exact));
});
