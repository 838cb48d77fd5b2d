/**
 * Philox4x32-10, the counter-based generator of Salmon et al. 2011 ("Parallel Random Numbers: As Easy as 1, 2, 3").
 * A value is a pure function of (counter, key), so noise does not depend on shards, workers, order or retries.
 */
export const MULTIPLIER_0 = 0xd2511f53 | 0;
export const MULTIPLIER_1 = 0xcd9e8d57 | 0;
export const WEYL_0 = 0x9e3779b9 | 0;
export const WEYL_1 = 0xbb67ae85 | 0;
const TWO_TO_MINUS_53 = 2 ** -53;

/** Four 32-bit words for the 128-bit counter (c0 lowest) and 64-bit key, written to `out`. */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
): void {
  c0 |= 0; // as 32-bit integers from here on
  c1 |= 0;
  c2 |= 0;
  c3 |= 0;
  k0 |= 0;
  k1 |= 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/**
 * The upper 32 bits of the product of two unsigned 32-bit numbers, by 16-bit halves (JavaScript has no such operation).
 * Every intermediate fits 32 bits, so that the engine keeps to integer instructions; `Math.imul` of halves may come out
 * negative, and only its bit pattern matters.
 */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const middle = (Math.imul(aLow, bHigh) + (cross & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (middle >>> 16)) | 0;
}

/** What a stream of random numbers is for; part of the counter, so that no two uses share a number. */
export const STREAM = {
  gumbel: 0,
  initialWeights: 1,
  probeSample: 2,
  trainingOrder: 3,
  influenceSplit: 4,
  influenceOrder: 5,
  dropout: 6,
  bootstrap: 7,
  /** The control arm's random selection, so that it does not follow the main arm's noise. */
  controlGumbel: 8,
  /** The order in which a lookahead probe learns the reference passages. */
  lookahead: 9,
  /** The random rows that its control copy learns. */
  lookaheadControl: 10,
  /** The hold-out rows on which scores are brought to one scale. */
  calibration: 11,
  /** The order of the reference passages that `train-on-reference` mixes in. */
  referenceRows: 12,
  /** Which labels the influence ridge's penalty is chosen by. */
  ridgeSplit: 13,
  /** The orders of shingles that near-duplicates are found by. */
  minHash: 14,
  /** The hold-out rows that DSIR's distribution of the pool is counted on. */
  dsirSample: 15,
  /** The rows that a selection and its pool are compared by. */
  diagnostics: 16,
  /** The rows of the pool on which 8 bits are compared with float32. */
  precision: 17,
} as const;

/**
 * A generator that can be read at any index: `stream` says what for, `stage` which stage (or epoch), `index` which
 * number. The counter is (index low, index high, stage, stream), the key the 64-bit seed.
 */
export class CounterRandom {
  private readonly k0: number;
  private readonly k1: number;
  private readonly words = new Uint32Array(4);
  private readonly stream: number;
  private readonly stage: number;

  constructor(seed: number, stream: number, stage = 0) {
    this.k0 = seed >>> 0;
    this.k1 = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.stream = stream;
    this.stage = stage;
  }

  /** Uniform in the open interval (0, 1), see {@link uniformOf}. */
  uniform(index: number): number {
    philox4x32(index | 0, Math.floor(index / 0x1_0000_0000), this.stage, this.stream, this.k0, this.k1, this.words);
    return uniformOf(this.words[0]!, this.words[1]!);
  }

  /** Standard Gumbel. */
  gumbel(index: number): number {
    return gumbelOf(this.uniform(index));
  }

  /** Standard normal by Box-Muller, from the block's two halves. */
  normal(index: number): number {
    const u = this.uniform(index);
    const v = ((this.words[2]! >>> 5) * 0x400_0000 + (this.words[3]! >>> 6) + 0.5) * TWO_TO_MINUS_53;
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }

  /** A whole number below `limit`. */
  below(index: number, limit: number): number {
    return Math.min(limit - 1, Math.floor(this.uniform(index) * limit));
  }
}

/**
 * The uniform number in (0, 1) of a block's first two words: with a = word0 >>> 5 and b = word1 >>> 6,
 * (a 2^26 + b + 0.5) / 2^53 in float64. From 1/2 on the sum rounds to an even number, which for the very last cell would
 * be 1, hence the bound.
 */
export function uniformOf(word0: number, word1: number): number {
  const u = ((word0 >>> 5) * 0x400_0000 + (word1 >>> 6) + 0.5) * TWO_TO_MINUS_53;
  return u < 1 ? u : 1 - TWO_TO_MINUS_53;
}

/** The standard Gumbel value of a uniform one, increasing in it: -log(-log(u)). */
export function gumbelOf(uniform: number): number {
  return -Math.log(-Math.log(uniform));
}

/** The numbers 0 to n-1 in a random order: Fisher-Yates with one draw a place. */
export function permutation(n: number, random: CounterRandom): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
