/** N-gram counts of a set of texts. */
import { InputError } from '../errors.ts';
import { requireFormat } from '../storage/store.ts';
import { type Hasher, type Hashing, hasherOf } from './hasher.ts';

/** Counts as JSON. */
export interface NgramCountsFile {
  format: 'mates-ngram-counts/1';
  hashing: Hashing;
  texts: number;
  /** One for each bucket. */
  counts: number[];
}

export class NgramCounts {
  readonly hashing: Hashing;
  texts = 0;
  /** One for each bucket; exact up to 2^53. */
  readonly counts: Float64Array;
  private readonly hasher: Hasher;

  constructor(hashing: Hashing) {
    this.hashing = hashing;
    this.hasher = hasherOf(hashing);
    this.counts = new Float64Array(hashing.buckets);
  }

  /** Counts a text's n-grams. */
  add(text: string): void {
    const { counts } = this;
    this.texts++;
    this.hasher.scan(text, (buckets, count) => {
      for (let i = 0; i < count; i++) counts[buckets[i]!]! += 1;
    });
  }

  /** N-grams counted. */
  total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  toFile(): NgramCountsFile {
    return {
      format: 'mates-ngram-counts/1',
      hashing: this.hashing,
      texts: this.texts,
      counts: Array.from(this.counts),
    };
  }

  /**
   * @param source what a message calls the file.
   * @throws InputError when it is not what {@link NgramCounts.toFile} gives.
   */
  static fromFile(file: NgramCountsFile, source: string): NgramCounts {
    requireFormat(file, 'mates-ngram-counts/1', source);
    const result = new NgramCounts(file.hashing);
    const whole = file.counts?.every((count) => Number.isSafeInteger(count) && count >= 0);
    if (!whole || file.counts.length !== file.hashing.buckets)
      throw new InputError(`${source}: "counts" must be ${file.hashing.buckets} whole numbers; count the texts again.`);
    result.texts = file.texts;
    result.counts.set(file.counts);
    return result;
  }
}

export const sameHashing = (a: Hashing, b: Hashing) => a.mode === b.mode && a.buckets === b.buckets;
