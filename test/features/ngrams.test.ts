import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NgramFeatures, type NgramSpec } from '../../core/features/ngrams.ts';
import type { SparseRows } from '../../core/features/sparse-rows.ts';

/** Each row's entries by column. */
const maps = ({ rows, starts, indices, values }: SparseRows) =>
  Array.from({ length: rows }, (_, row) => {
    const entries = Array.from({ length: starts[row + 1]! - starts[row]! }, (_, i) => starts[row]! + i);
    return new Map(entries.map((at) => [indices[at]!, values[at]!]));
  });
const features = (spec: NgramSpec, tokens: number[]) => new NgramFeatures(spec).rows(Int32Array.from(tokens));
const logarithm = (count: number) => Math.fround(Math.log1p(count));

describe('NgramFeatures', () => {
  const spec: NgramSpec = { sequenceLength: 4, vocabularySize: 10, buckets: 1024 };
  const rowsOf = (most: number) =>
    fc.array(fc.array(fc.integer({ min: -1, max: 9 }), { minLength: 4, maxLength: 4 }), { maxLength: most });

  it('gives each token its column, and pairs the others, as log(1 + count)', () => {
    const [row] = maps(features(spec, [3, 3, 3, 7]));
    expect(row!.get(3)).toBe(logarithm(3));
    expect(row!.get(7)).toBe(logarithm(1));
    const pairs = [...row!].filter(([column]) => column >= 10).map(([, value]) => value);
    expect(pairs.sort()).toEqual([logarithm(1), logarithm(2)]); // 3 3 twice, 3 7 once
  });

  it('keeps pairs out of the columns of tokens, also where these fill exactly half', () => {
    const tokens = [0, 1, 2, 3, 4, 5, 6, 7];
    const [row] = maps(features({ sequenceLength: 8, vocabularySize: 8, buckets: 16 }, tokens));
    for (const token of tokens) expect(row!.get(token)).toBe(logarithm(1));
  });

  it('tells the order of a pair, and a pair from its tokens', () => {
    const [ab, ba] = maps(features(spec, [1, 2, -1, -1, 2, 1, -1, -1]));
    expect([...ab!.keys()].filter((column) => column < 10).sort()).toEqual([1, 2]);
    expect(new Set([...ab!.keys(), ...ba!.keys()]).size).toBe(4);
  });

  it('counts no negative token, nor a pair over it', () => {
    const [row] = maps(features(spec, [5, -1, 5, -1]));
    expect([...row!]).toEqual([[5, logarithm(2)]]);
  });

  it('does not depend on the rows before, or on the batch', () => {
    fc.assert(
      fc.property(rowsOf(8), fc.nat(8), (rows, cut) => {
        const all = features(spec, rows.flat());
        const parts = [rows.slice(0, cut), rows.slice(cut)].map((part) => features(spec, part.flat()));
        expect(parts.flatMap(maps)).toEqual(maps(all));
        expect(maps(all)).toEqual(rows.map((row) => maps(features(spec, row))[0]));
        for (const row of maps(all)) expect(Math.max(0, ...row.keys())).toBeLessThan(1024);
        expect(all.indices.length).toBe(maps(all).reduce((sum, { size }) => sum + size, 0)); // no column twice
      }),
    );
  });

  it('hashes tokens too where they would fill more than half of the columns', () => {
    const small = { sequenceLength: 1000, vocabularySize: 1000, buckets: 1024 };
    const [row] = maps(
      features(
        small,
        Array.from({ length: 1000 }, (_, i) => i),
      ),
    );
    // 1,999 n-grams at random in 1,024 columns leave exp(-1.95) of them empty: 878 used, and not 1,000 by tokens alone.
    expect(row!.size).toBeGreaterThan(840);
    expect(row!.size).toBeLessThan(915);
    const total = [...row!.values()].reduce((sum, value) => sum + Math.expm1(value), 0);
    expect(total).toBeCloseTo(1999, 2);
  });

  it('refuses tokens outside the vocabulary and rows of another length', () => {
    expect(() => features(spec, [0, 1, 2, 3, 0, 10, 0, 0])).toThrow('row 1: token 10 is not in the vocabulary of 10');
    expect(() => features(spec, [0, 1, 2])).toThrow('3 tokens are not rows of 4');
  });
});
