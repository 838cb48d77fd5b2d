/**
 * Near-duplicate rows or documents by MinHash and banding (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of
 * Massive Datasets", ch. 3). A row is the set of its shingles, runs of neighbouring tokens. Under a random order of all
 * shingles two sets have the same first one with the probability of their Jaccard similarity; a signature has the first
 * under each of many orders. It is cut into bands, and rows that agree in all of a band are taken to be duplicates
 * (`clusters.ts`): those of similarity s with probability 1 - (1 - s^height)^bands.
 */
import { CounterRandom, STREAM } from '../random/philox.ts';
import { spread, spreadPair } from '../random/spread.ts';
import { doWhile, i32, i32x4, instantiate, kernel, v128 } from '../wasm/assemble.ts';

export interface MinHashSpec {
  /** Tokens in a shingle. */
  shingle: number;
  bands: number;
  /** Hashes in a band. */
  height: number;
  seed: number;
}

/**
 * Rows of similarity 0.8 are found with probability 0.991, of 0.9 with 0.99999; of 0.5 with 0.15, of 0.3 with 0.004.
 * (FineWeb's 14 bands of 8 find 0.924 of those of 0.8.)
 */
export const DEFAULT_MINHASH: Omit<MinHashSpec, 'seed'> = { shingle: 5, bands: 20, height: 7 };

/** Orders that the kernel works on at once: four vectors, so that a shingle's hash is read once for all. */
const ORDERS = 16;
/** Hashes that the kernel is given at a time. */
const CHUNK = 1 << 12;
const PAGE = 0x1_0000;

export class MinHasher {
  readonly spec: MinHashSpec;
  private readonly hashes: Uint32Array;
  private readonly minima: Uint32Array;
  /** Takes the first `count` hashes into the minima. */
  private readonly take: (count: number) => void;

  constructor(spec: MinHashSpec) {
    this.spec = spec;
    const orders = Math.ceil((spec.bands * spec.height) / ORDERS) * ORDERS;
    const [start, size] = [4 * CHUNK, 4 * orders];
    const { memory, kernels } = instantiate(Math.ceil((start + 3 * size) / PAGE), [MINIMA]);
    this.take = (count) => kernels.minima!(4 * count, start, size);
    this.hashes = new Uint32Array(memory, 0, CHUNK);
    this.minima = new Uint32Array(memory, start + 2 * size, orders);
    // An order is that of a x + b modulo 2^32, with a odd, over well-mixed hashes x.
    const random = new CounterRandom(spec.seed, STREAM.minHash);
    const factors = new Uint32Array(memory, start, orders);
    const offsets = new Uint32Array(memory, start + size, orders);
    for (let i = 0; i < orders; i++) {
      factors[i] = random.below(2 * i, 2 ** 32) | 1;
      offsets[i] = random.below(2 * i + 1, 2 ** 32);
    }
  }

  /**
   * A row's signature: for each order the least of the shingles' numbers, 2^32 - 1 if there are none. Valid until the
   * next call.
   *
   * @param tokens a row's or a document's, none negative.
   */
  signature(tokens: Int32Array): Uint32Array {
    this.minima.fill(0xffff_ffff);
    this.takeShingles(tokens);
    return this.minima.subarray(0, this.spec.bands * this.spec.height);
  }

  /**
   * A key of 64 bits for each band of each row: equal where a band's hashes are.
   *
   * @returns for each band, two words for each row. A band's keys of several shards can be concatenated to those of all
   *   their rows.
   */
  bandKeys(rows: readonly Int32Array[]): Uint32Array[] {
    const { bands, height } = this.spec;
    const keys = Array.from({ length: bands }, () => new Uint32Array(2 * rows.length));
    for (const [row, tokens] of rows.entries()) {
      const signature = this.signature(tokens);
      for (let band = 0; band < bands; band++) {
        let [first, second] = [0, 1];
        for (let i = band * height; i < (band + 1) * height; i++) {
          first = spreadPair(first, signature[i]!);
          second = spreadPair(second, signature[i]!);
        }
        keys[band]![2 * row] = first;
        keys[band]![2 * row + 1] = second;
      }
    }
    return keys;
  }

  /** Takes a hash of each run of `shingle` tokens, or one of all tokens if there are fewer. */
  private takeShingles(tokens: Int32Array): void {
    const { hashes } = this;
    const { shingle } = this.spec;
    const hashOf = spread; // an imported name is looked up anew each time it is used
    // A rolling polynomial in the tokens: the term of the token that leaves the run is subtracted.
    let last = 1;
    for (let i = 0; i < shingle; i++) last = Math.imul(last, BASE);
    let [hash, count] = [0, 0];
    for (let i = 0; i < tokens.length; i++) {
      hash = (Math.imul(hash, BASE) + tokens[i]! + 1) | 0;
      if (i >= shingle) hash = (hash - Math.imul(last, tokens[i - shingle]! + 1)) | 0;
      if (i + 1 < shingle) continue;
      hashes[count++] = hashOf(hash);
      if (count < CHUNK) continue;
      this.take(count);
      count = 0;
    }
    if (tokens.length > 0 && tokens.length < shingle) hashes[count++] = hashOf(hash);
    if (count > 0) this.take(count);
  }
}

/** Odd and large: powers of it stay apart modulo 2^32. */
const BASE = 0x9e3779b1 | 0;

const VECTORS = [0, 1, 2, 3] as const;

/**
 * minima(end of the hashes, which begin at 0; address of the factors; their size in bytes): for each order, the least
 * of factor x hash + offset over all hashes, and of the result so far. Offsets follow the factors, results the offsets.
 */
const MINIMA = kernel(
  'minima',
  ['end', 'factors', 'size'],
  {
    i32: ['at', 'group', 'offsets', 'results'],
    v128: ['hash', ...VECTORS.flatMap((i) => [`least${i}`, `factor${i}`, `offset${i}`] as const)],
  },
  (local) => {
    const { end, factors, size, at, group, offsets, results, hash } = local;
    const vectors = VECTORS.map((i) => ({
      least: local[`least${i}`],
      factor: local[`factor${i}`],
      offset: local[`offset${i}`],
    }));
    const eachHash = [
      ...hash.set(i32x4.splat(i32.load(at.get))),
      ...vectors.flatMap(({ least, factor, offset }) =>
        least.set(i32x4.minUnsigned(least.get, i32x4.add(i32x4.multiply(hash.get, factor.get), offset.get))),
      ),
      ...at.set(i32.add(at.get, i32.const(4))),
    ];
    const eachGroup = [
      ...offsets.set(i32.add(group.get, size.get)),
      ...results.set(i32.add(offsets.get, size.get)),
      ...vectors.flatMap(({ least, factor, offset }, i) => [
        ...least.set(v128.load(results.get, 16 * i)),
        ...factor.set(v128.load(group.get, 16 * i)),
        ...offset.set(v128.load(offsets.get, 16 * i)),
      ]),
      ...at.set(i32.const(0)),
      ...doWhile(eachHash, i32.lessUnsigned(at.get, end.get)),
      ...vectors.flatMap(({ least }, i) => v128.store(results.get, least.get, 16 * i)),
      ...group.set(i32.add(group.get, i32.const(4 * ORDERS))),
    ];
    return [
      ...group.set(factors.get),
      ...doWhile(eachGroup, i32.lessUnsigned(group.get, i32.add(factors.get, size.get))),
    ];
  },
);
