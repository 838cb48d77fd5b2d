/** How a text becomes hashed n-grams: its words and pairs of neighbouring words, each in one of so many buckets. */
import { FastHasher } from './fast-hasher.ts';
import { PackageHasher } from './package-hasher.ts';

export interface Hashing {
  /**
   * `package` has the words and buckets of PyPI `data-selection` 1.0.3 (sha256), so that counts and weights can be
   * compared with it. `fast` has the same words except in two rare cases (`fast-hasher.ts`), other buckets, and a
   * hundred times the speed.
   */
  mode: 'fast' | 'package';
  /** 10,000 in the paper. */
  buckets: number;
}

export interface Hasher {
  /**
   * Gives the buckets of a text's n-grams to `visit`, some thousands at a time: one for each word, and one for it and
   * the word before. A text of w words has 2w - 1, an empty one none.
   *
   * @param visit gets an array whose first `count` entries are buckets, valid until it returns.
   */
  scan(text: string, visit: (buckets: Uint32Array, count: number) => void): void;
}

export function hasherOf({ mode, buckets }: Hashing): Hasher {
  if (!Number.isInteger(buckets) || buckets < 1 || buckets > MOST_BUCKETS)
    throw new RangeError(`${buckets} buckets: a whole number from 1 to ${MOST_BUCKETS} is needed`);
  return mode === 'fast' ? new FastHasher(buckets) : new PackageHasher(buckets);
}

/** More would cost memory and gain nothing: a corpus has some millions of distinct pairs of words. */
const MOST_BUCKETS = 2 ** 24;
