/**
 * DSIR, data selection by importance resampling (Xie et al. 2023, arXiv 2302.03169): a text's weight says how much more
 * frequent its n-grams are in a reference set than in the candidate pool,
 *
 *   log weight = sum over the text's n-grams of log p(bucket | reference) - log p(bucket | pool),
 *
 * a bag-of-n-grams likelihood ratio. Keeping the k largest of `log weight + Gumbel` resamples the pool without
 * replacement: give the log weight as the utility, at temperature 1.
 *
 * In PyPI `data-selection` 1.0.3, the weight is a sum, so it grows with a text's length, up or down; the package only
 * leaves out texts of fewer than 100 words. Rows of a packed corpus all have the same number of tokens, but fewer words
 * if these are long or no words at all, such as base64: {@link DsirModel.rowWeight} can take the mean instead.
 */
import { InputError } from '../errors.ts';
import type { DsirScore } from '../selection/methods.ts';
import { requireFormat } from '../storage/store.ts';
import { NgramCounts, type NgramCountsFile, sameHashing } from './counts.ts';
import { type Hasher, type Hashing, hasherOf } from './hasher.ts';

/** p(bucket) = (count + pseudoCount) / (total + pseudoCount x buckets) + epsilon, not normalised again. */
export interface Smoothing {
  /** The package has 10^-8: a bucket that the reference set lacks then weighs about -11. */
  epsilon: number;
  /**
   * Occurrences that every bucket is given in advance. The package has none. With a reference set of a few hundred
   * passages most buckets are empty by chance, and a few tenths of an occurrence keep those from deciding everything.
   */
  pseudoCount: number;
}

export const PACKAGE_SMOOTHING: Smoothing = { epsilon: 1e-8, pseudoCount: 0 };

/** The model as JSON: the counts that it follows from. */
export interface DsirFile {
  format: 'mates-dsir/1';
  smoothing: Smoothing;
  reference: NgramCountsFile;
  pool: NgramCountsFile;
  /** Rows of the corpus that the pool was counted on. Absent in older files, which can give sums alone. */
  poolRows?: number;
}

export class DsirModel {
  readonly hashing: Hashing;
  /** log p(bucket | reference) - log p(bucket | pool). */
  readonly logRatio: Float64Array;
  private readonly hasher: Hasher;
  private readonly reference: NgramCounts;
  private readonly pool: NgramCounts;
  private readonly smoothing: Smoothing;
  private readonly poolRows?: number;
  /** How many n-grams were counted in each. */
  private readonly poolNgrams: number;
  private readonly referenceNgrams: number;

  /**
   * @param poolRows how many rows the pool was counted on; `mean` scores need it.
   * @throws InputError when either side has no words, or the two were counted differently.
   */
  constructor(reference: NgramCounts, pool: NgramCounts, smoothing = PACKAGE_SMOOTHING, poolRows?: number) {
    if (!sameHashing(reference.hashing, pool.hashing))
      throw new InputError('DSIR: the reference set and the pool were hashed differently; count one of them again.');
    if (!(smoothing.epsilon > 0 || smoothing.pseudoCount > 0))
      throw new RangeError('DSIR: without an epsilon or a pseudo-count an empty bucket has no logarithm');
    this.referenceNgrams = reference.total();
    if (this.referenceNgrams === 0)
      throw new InputError('DSIR: the reference set has no words: give passages of text in reference.input.');
    this.poolNgrams = pool.total();
    if (this.poolNgrams === 0) throw new InputError('DSIR: the candidate pool has no words: prepare a corpus of text.');
    this.hashing = reference.hashing;
    this.hasher = hasherOf(this.hashing);
    this.reference = reference;
    this.pool = pool;
    this.smoothing = smoothing;
    this.poolRows = poolRows;
    const p = probabilities(reference, smoothing);
    const q = probabilities(pool, smoothing);
    this.logRatio = p.map((value, bucket) => Math.log(value) - Math.log(q[bucket]!));
  }

  /** 0 for a text without words. */
  logWeight(text: string): number {
    return this.weigh(text).logWeight;
  }

  /**
   * The log-weight of a row, given as texts that no pair of words spans: the sum over its n-grams, or their mean times
   * the n-grams of an average row of the pool. Without any n-gram, the mean is the least that it could be.
   *
   * @param counted whether the row is one of those that the pool was counted on. It is then left out of the counts;
   *   otherwise its n-grams would be less rare in the pool, and the row less like the reference, than other rows'.
   */
  rowWeight(texts: readonly string[], score: DsirScore, counted = false): number {
    const { logWeight, ngrams } = counted ? this.weighLeftOut(texts) : this.weighAll(texts);
    if (score === 'sum') return logWeight;
    if (this.poolRows === undefined)
      throw new InputError('DSIR: the pool was counted by an older version, which knows of sums alone: fit it again.');
    const mean = ngrams > 0 ? logWeight / ngrams : this.logRatio.reduce((least, ratio) => Math.min(least, ratio));
    return (mean * this.poolNgrams) / this.poolRows;
  }

  private weighAll(texts: readonly string[]): { logWeight: number; ngrams: number } {
    let [logWeight, ngrams] = [0, 0];
    for (const text of texts) {
      const own = this.weigh(text);
      logWeight += own.logWeight;
      ngrams += own.ngrams;
    }
    return { logWeight, ngrams };
  }

  /** Weighs texts by the counts of the pool without them. */
  private weighLeftOut(texts: readonly string[]): { logWeight: number; ngrams: number } {
    const { reference, pool, smoothing } = this;
    const own = new NgramCounts(this.hashing);
    for (const text of texts) own.add(text);
    const ngrams = own.total();
    const others = Math.max(1, this.poolNgrams - ngrams); // there may be nothing else in the pool
    let logWeight = 0;
    for (const [bucket, count] of own.counts.entries()) {
      if (count === 0) continue;
      const p = probability(reference.counts[bucket]!, this.referenceNgrams, reference, smoothing);
      const q = probability(pool.counts[bucket]! - count, others, pool, smoothing);
      logWeight += count * (Math.log(p) - Math.log(q));
    }
    return { logWeight, ngrams };
  }

  private weigh(text: string): { logWeight: number; ngrams: number } {
    const { logRatio } = this;
    let [logWeight, ngrams] = [0, 0];
    this.hasher.scan(text, (buckets, count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += logRatio[buckets[i]!]!;
      logWeight += sum;
      ngrams += count;
    });
    return { logWeight, ngrams };
  }

  toFile(): DsirFile {
    const { smoothing, reference, pool, poolRows } = this;
    return { format: 'mates-dsir/1', smoothing, reference: reference.toFile(), pool: pool.toFile(), poolRows };
  }

  /**
   * @param source what a message calls the file.
   * @throws InputError when it is not what {@link DsirModel.toFile} gives.
   */
  static fromFile(file: DsirFile, source: string): DsirModel {
    requireFormat(file, 'mates-dsir/1', source);
    const counts = (part: 'reference' | 'pool') => NgramCounts.fromFile(file[part], `${source}, ${part}`);
    return new DsirModel(counts('reference'), counts('pool'), file.smoothing, file.poolRows);
  }
}

function probabilities(counts: NgramCounts, smoothing: Smoothing): Float64Array {
  const total = counts.total();
  return counts.counts.map((count) => probability(count, total, counts, smoothing));
}

const probability = (count: number, total: number, { hashing }: NgramCounts, { epsilon, pseudoCount }: Smoothing) =>
  (count + pseudoCount) / (total + pseudoCount * hashing.buckets) + epsilon;
