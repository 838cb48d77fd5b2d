import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasherOf } from '../../core/dsir/hasher.ts';
import { DsirModel, type Hashing, NgramCounts } from '../../core/dsir/index.ts';
import { InputError } from '../../core/errors.ts';

const FAST: Hashing = { mode: 'fast', buckets: 10_000 };
const MODES = ['fast', 'package'] as const;

function bucketsOf(text: string, hashing = FAST): number[] {
  const all: number[] = [];
  hasherOf(hashing).scan(text, (buckets, count) => all.push(...buckets.subarray(0, count)));
  return all;
}

function countsOf(texts: string[], hashing = FAST): NgramCounts {
  const counts = new NgramCounts(hashing);
  for (const text of texts) counts.add(text);
  return counts;
}

/** A word or a run of punctuation, and whether a space comes before it. */
const token = fc.record({
  text: fc.oneof(
    fc.constantFrom('a', 'b', 'Ab', 'été', 'naı\u0308ve', 'हिन्दी', '𐐀b', '日本', 'ß9_', '𝟘', 'x\u200dy'),
    fc.constantFrom('.', '!?', '😀', '²½', '…', '\ufeff'),
  ),
  space: fc.constantFrom('', ' ', '\n', '\u00a0', ' \u2028 '),
});
const isWord = (text: string) => /^[\p{L}\p{Nd}]/u.test(text);

describe.each(MODES)('n-grams, %s', (mode) => {
  const hashing = { mode, buckets: 10_000 };

  it('are of each word and each pair of neighbours', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), fc.constantFrom(1, 2, 700), (tokens, times) => {
        const all = Array.from({ length: times }, () => tokens).flat();
        const words = all.map(({ text }) => text);
        const joined = all.map(({ text, space }, i) => {
          const touches = i > 0 && isWord(text) === isWord(words[i - 1]!);
          return (touches ? space || ' ' : space) + text;
        });
        const alone = new Map(words.map((word) => [word, bucketsOf(word, hashing)]));
        expect([...alone.values()].every(({ length }) => length === 1)).toBe(true);
        const pairs = new Map<string, number>();
        const pair = (first: string, second: string) => {
          const key = `${first} ${second}`;
          if (!pairs.has(key)) pairs.set(key, bucketsOf(key, hashing)[2]!);
          return pairs.get(key)!;
        };
        const expected = words.flatMap((word, i) => [
          ...alone.get(word)!,
          ...(i > 0 ? [pair(words[i - 1]!, word)] : []),
        ]);
        expect(bucketsOf(joined.join(''), hashing)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('do not depend on case, but on the order of words', () => {
    expect(bucketsOf('Quick Brown ÉTÉ', hashing)).toEqual(bucketsOf('quick brown été', hashing));
    expect(bucketsOf('quick brown', hashing)[2]).not.toBe(bucketsOf('brown quick', hashing)[2]);
  });

  it('are none in a text without words', () => {
    for (const text of ['', ' ', '\n\t\u00a0']) expect(bucketsOf(text, hashing)).toEqual([]);
  });

  it('fill all buckets evenly', () => {
    // 200,000 n-grams in 1,000 buckets: chi-squared of 999 degrees of freedom, mean 999, standard deviation 45.
    const counts = new NgramCounts({ mode, buckets: 1000 });
    const words = Array.from({ length: 100_000 }, (_, i) => `word${i}`);
    for (let i = 0; i < words.length; i += 1000) counts.add(words.slice(i, i + 1000).join(' '));
    const expected = counts.total() / 1000;
    const squares = counts.counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(squares).toBeGreaterThan(999 - 5 * 45);
    expect(squares).toBeLessThan(999 + 5 * 45);
  });
});

it('has the same words in both modes, whatever the characters', () => {
  const text = fc.string({ unit: 'binary', maxLength: 200 });
  fc.assert(
    fc.property(text, (given) => {
      const usual = given.replaceAll(/[Σİ]/g, 's'); // see fast-hasher.ts
      expect(bucketsOf(usual).length).toBe(bucketsOf(usual, { mode: 'package', buckets: 10_000 }).length);
      expect(bucketsOf(usual)).toEqual(bucketsOf(usual.toLowerCase()));
    }),
    { numRuns: 500 },
  );
});

describe('NgramCounts', () => {
  it('come back from their file', () => {
    const counts = countsOf(['One two three.', 'Two!']);
    expect(counts.texts).toBe(2);
    expect(counts.total()).toBe(7 + 3);
    const file = JSON.parse(JSON.stringify(counts.toFile()));
    expect(NgramCounts.fromFile(file, 'counts.json').toFile()).toEqual(counts.toFile());
  });

  it('refuses files that are not counts', () => {
    const file = countsOf(['a b']).toFile();
    const read = (changed: object) => () => NgramCounts.fromFile({ ...file, ...changed }, 'counts.json');
    expect(read({ format: 'other/1' })).toThrow(
      'counts.json has the format "other/1", "mates-ngram-counts/1" was expected.',
    );
    expect(read({ counts: file.counts.slice(1) })).toThrow('counts.json: "counts" must be 10000 whole numbers');
    expect(read({ counts: file.counts.map(() => 0.5) })).toThrow(InputError);
    expect(() => new NgramCounts({ mode: 'fast', buckets: 0 })).toThrow(RangeError);
  });
});

describe('DsirModel', () => {
  const reference = countsOf(['the whale and the sea', 'a ship at sea']);
  const pool = countsOf(['the whale and the sea', 'error 404 : not found', 'click here to subscribe']);
  const model = new DsirModel(reference, pool);

  it('sums log p(bucket | reference) - log p(bucket | pool) over the n-grams', () => {
    const expected = bucketsOf('the whale sails').reduce((sum, bucket) => {
      const p = reference.counts[bucket]! / reference.total() + 1e-8;
      const q = pool.counts[bucket]! / pool.total() + 1e-8;
      return sum + Math.log(p) - Math.log(q);
    }, 0);
    expect(model.logWeight('the whale sails')).toBeCloseTo(expected, 10);
    expect(model.logWeight('')).toBe(0);
  });

  it('prefers what is like the reference set', () => {
    expect(model.logWeight('the sea')).toBeGreaterThan(0);
    expect(model.logWeight('error 404 not found')).toBeLessThan(0);
  });

  it('gives each bucket some occurrences in advance where asked to', () => {
    const { logRatio } = new DsirModel(reference, pool, { epsilon: 0, pseudoCount: 0.5 });
    const [total, size] = [reference.total() + 5000, pool.total() + 5000];
    const found = bucketsOf('subscribe')[0]!;
    expect(logRatio[found]).toBeCloseTo(Math.log(0.5 / total) - Math.log(1.5 / size), 10);
  });

  it('weighs a row of several texts by the sum, or by the mean in the words of a usual row', () => {
    const rows = ['the whale and the sea', 'error 404 : not found', 'click here to subscribe'];
    const counted = new DsirModel(reference, countsOf(rows), undefined, rows.length);
    const ngrams = countsOf(rows).total() / rows.length;
    const [whale, sea] = [counted.logWeight('the whale'), counted.logWeight('sea')];
    expect(counted.rowWeight(['the whale', 'sea'], 'sum')).toBeCloseTo(whale + sea, 10);
    expect(counted.rowWeight(['the whale', 'sea'], 'mean')).toBeCloseTo(((whale + sea) / 4) * ngrams, 10);
    // One word that the reference set lacks beats a row of which some are in it by the sum, and not by the mean.
    const unlike = 'subscribe';
    const like = 'the whale, the sea, error 404 : not found';
    expect(counted.rowWeight([unlike], 'sum')).toBeGreaterThan(counted.rowWeight([like], 'sum'));
    expect(counted.rowWeight([unlike], 'mean')).toBeLessThan(counted.rowWeight([like], 'mean'));
    expect(counted.rowWeight([''], 'sum')).toBe(0);
    expect(counted.rowWeight([''], 'mean')).toBeLessThanOrEqual(counted.rowWeight([unlike], 'mean'));
    expect(() => model.rowWeight(['sea'], 'mean')).toThrow('fit it again');
  });

  it('removes a row that was counted from the counts of the pool', () => {
    const row = ['the whale and the sea', 'error'];
    const others = ['error 404 : not found', 'click here to subscribe'];
    const whole = new DsirModel(reference, countsOf([...row, ...others]), undefined, 3);
    const apart = new DsirModel(reference, countsOf(others), undefined, 3);
    for (const text of row) expect(whole.rowWeight([text], 'sum', true)).not.toBe(whole.rowWeight([text], 'sum'));
    expect(whole.rowWeight(row, 'sum', true)).toBeCloseTo(apart.rowWeight(row, 'sum'), 9);
    expect(new DsirModel(reference, countsOf(row)).rowWeight(row, 'sum', true)).toBeTypeOf('number');
  });

  it('weighs in many pieces as in one', () => {
    const long = 'The whale and the sea. '.repeat(5000);
    const buckets = bucketsOf(long);
    expect(buckets).toHaveLength(2 * 30_000 - 1);
    const sum = buckets.reduce((total, bucket) => total + model.logRatio[bucket]!, 0);
    expect(model.logWeight(long) / sum).toBeCloseTo(1, 12);
  });

  it('comes back from its file', () => {
    const file = JSON.parse(JSON.stringify(model.toFile()));
    const read = DsirModel.fromFile(file, 'dsir.json');
    expect(read.logWeight('the whale')).toBe(model.logWeight('the whale'));
    expect(() => DsirModel.fromFile({ ...file, format: '' }, 'dsir.json')).toThrow(
      'dsir.json has the format "", "mates-dsir/1"',
    );
    expect(() => DsirModel.fromFile({ ...file, pool: {} }, 'dsir.json')).toThrow('dsir.json, pool has the format');
  });

  it('refuses sides without words or with different hashing, and a model without smoothing', () => {
    expect(() => new DsirModel(countsOf([' ']), pool)).toThrow('the reference set has no words');
    expect(() => new DsirModel(reference, countsOf([]))).toThrow('the candidate pool has no words');
    expect(() => new DsirModel(reference, countsOf(['a'], { mode: 'package', buckets: 10_000 }))).toThrow(InputError);
    expect(() => new DsirModel(reference, pool, { epsilon: 0, pseudoCount: 0 })).toThrow(RangeError);
  });
});
