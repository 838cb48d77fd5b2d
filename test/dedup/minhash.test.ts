import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DuplicateClusters } from '../../core/dedup/clusters.ts';
import { DEFAULT_MINHASH, MinHasher, type MinHashSpec } from '../../core/dedup/minhash.ts';
import { CounterRandom } from '../../core/random/philox.ts';
import { detection, jaccard } from './support.ts';

const SPEC: MinHashSpec = { ...DEFAULT_MINHASH, seed: 1 };
const LENGTH = 64;
const random = new CounterRandom(6, 1000);
let draw = 0;
const uniform = () => random.uniform(draw++);
const randomRow = () => Int32Array.from({ length: LENGTH }, () => Math.floor(uniform() * 2000));
/** The row with each token replaced with a probability. */
const changed = (row: Int32Array, share: number) =>
  row.map((token) => (uniform() < share ? Math.floor(uniform() * 2000) : token));
const agreement = (a: Uint32Array, b: Uint32Array) => a.filter((value, i) => value === b[i]).length / a.length;

function clustersOf(rows: Int32Array[], spec = SPEC): Uint32Array {
  const clusters = new DuplicateClusters(rows.length);
  for (const keys of new MinHasher(spec).bandKeys(rows)) clusters.addBand(keys);
  return clusters.representatives();
}

describe('MinHasher', () => {
  const hasher = new MinHasher(SPEC);

  it('agrees in a share of the signature that equals the similarity of the sets', () => {
    // 600 pairs over all similarities: the mean error is within 4 of its standard deviations, and so is their spread.
    let [errors, squares, expected, pairs] = [0, 0, 0, 600];
    for (let i = 0; i < pairs; i++) {
      const row = randomRow();
      const other = changed(row, (0.25 * i) / pairs);
      const similarity = jaccard(row, other, SPEC.shingle);
      const found = agreement(hasher.signature(row).slice(), hasher.signature(other));
      errors += found - similarity;
      squares += (found - similarity) ** 2;
      expected += (similarity * (1 - similarity)) / (SPEC.bands * SPEC.height);
    }
    expect(Math.abs(errors)).toBeLessThan(4 * Math.sqrt(expected));
    expect(squares / expected).toBeGreaterThan(0.75);
    expect(squares / expected).toBeLessThan(1.25);
  });

  it('depends on the set of shingles alone', () => {
    const period = Int32Array.of(5, 6, 7, 8, 9, 10, 11);
    const twice = Int32Array.from({ length: 40 }, (_, i) => period[i % 7]!);
    const thrice = Int32Array.from({ length: 61 }, (_, i) => period[(i + 3) % 7]!);
    expect(hasher.signature(twice).slice()).toEqual(hasher.signature(thrice));
  });

  it('takes documents of any length', () => {
    const long = Int32Array.from({ length: 20_000 }, () => Math.floor(uniform() * 2000));
    const parts = [long.subarray(0, 8000), long.subarray(8000 - 4, 15_000), long.subarray(15_000 - 4)];
    const signatures = parts.map((part) => hasher.signature(part).slice());
    const least = signatures[0]!.map((value, i) => Math.min(value, signatures[1]![i]!, signatures[2]![i]!));
    expect(hasher.signature(long)).toEqual(least);
  });

  it('takes rows shorter than a shingle, and empty ones', () => {
    const short = hasher.signature(Int32Array.of(1, 2)).slice();
    expect(agreement(short, hasher.signature(Int32Array.of(2, 1)))).toBeLessThan(0.1);
    expect(short).not.toContain(2 ** 32 - 1);
    expect(new Set(hasher.signature(new Int32Array()))).toEqual(new Set([2 ** 32 - 1]));
  });

  it('gives the same keys for all rows at once and in shards, and others for another seed', () => {
    const rows = Array.from({ length: 30 }, randomRow);
    const all = hasher.bandKeys(rows);
    const [first, second] = [rows.slice(0, 11), rows.slice(11)].map((part) => hasher.bandKeys(part));
    expect(first!.map((keys, band) => Uint32Array.of(...keys, ...second![band]!))).toEqual(all);
    expect(all.length).toBe(SPEC.bands);
    expect(new Set(all.flatMap((keys) => [...keys])).size).toBe(2 * 30 * SPEC.bands); // no two alike, by chance
    expect(new MinHasher({ ...SPEC, seed: 2 }).bandKeys(rows)).not.toEqual(all);
  });

  it.each([
    { bands: 1, height: 1 },
    { bands: 3, height: 5 },
    { bands: 2, height: 40 },
  ])('accepts any shape of bands: %j', (shape) => {
    const small = new MinHasher({ ...SPEC, ...shape });
    const row = randomRow();
    expect(small.signature(row).length).toBe(shape.bands * shape.height);
    expect(small.bandKeys([row, row]).every(([a, b, c, d]) => a === c && b === d)).toBe(true);
  });
});

describe('near-duplicate clusters', () => {
  it('find rows of similarity 0.8 and more with the probability that the bands give', () => {
    const pairs = 1500;
    const rows = Array.from({ length: pairs }, randomRow).flatMap((row) => [row, changed(row, 0.05 * uniform())]);
    const representatives = clustersOf(rows);
    let [wanted, found, expected, variance] = [0, 0, 0, 0];
    for (let i = 0; i < 2 * pairs; i += 2) {
      const probability = detection(jaccard(rows[i]!, rows[i + 1]!, SPEC.shingle), SPEC);
      wanted++;
      expected += probability;
      variance += probability * (1 - probability);
      if (representatives[i + 1] === i) found++;
      expect(representatives[i]).toBe(i); // never with a row of another pair
    }
    expect(wanted).toBe(pairs);
    expect(Math.abs(found - expected)).toBeLessThan(4 * Math.sqrt(variance) + 1);
    expect(detection(0.8, SPEC)).toBeGreaterThan(0.99);
    expect(detection(0.3, SPEC)).toBeLessThan(0.01);
  });

  it('join whatever a chain of equal keys joins, to the lowest row, in any order of the bands', () => {
    const key = fc.integer({ min: 0, max: 3 });
    const bands = fc
      .integer({ min: 1, max: 25 })
      .chain((rows) => fc.array(fc.array(key, { minLength: rows, maxLength: rows }), { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(bands, fc.boolean(), (all, sameHash) => {
        const rows = all[0]!.length;
        // Keys whose first words are all the same, too: they fall into one place of the table.
        const words = (band: number[]) => Uint32Array.from(band.flatMap((k) => (sameHash ? [7, 1000 + k] : [k, 0])));
        const naive = Array.from({ length: rows }, (_, row) => row);
        for (let pass = 0; pass < rows; pass++)
          for (const band of all)
            band.forEach((k, i) => {
              const lowest = Math.min(...band.flatMap((other, j) => (other === k ? [naive[j]!] : [])));
              naive[i] = Math.min(naive[i]!, lowest);
            });
        const join = (order: number[][]) => {
          const clusters = new DuplicateClusters(rows);
          for (const band of order) clusters.addBand(words(band));
          return Array.from(clusters.representatives());
        };
        expect(join(all)).toEqual(naive);
        expect(join(all.toReversed())).toEqual(naive);
      }),
    );
  });

  it('refuse keys of another number of rows', () => {
    expect(() => new DuplicateClusters(3).addBand(new Uint32Array(4))).toThrow('4 words of keys for 3 rows');
  });

  it('are the same for the same seed', () => {
    const rows = Array.from({ length: 40 }, randomRow).flatMap((row) => [row, changed(row, 0.1)]);
    expect(clustersOf(rows)).toEqual(clustersOf(rows));
  });
});
