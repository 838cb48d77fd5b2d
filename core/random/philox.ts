/** Random numbers from Philox4x32-10, addressed by what they are for and by index. */

import { PhiloxSpan, SPAN } from './philox-span.ts';
import { philox4x32 } from './philox4x32.ts';

const TWO_TO_MINUS_53 = 2 ** -53;

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
  /** The rows of a selection, and of a corpus, that others are compared with. */
  diagnostics: 16,
  /** The rows of the pool on which 8 bits are compared with float32. */
  precision: 17,
  /** The reference passages that a lookahead probe keeps aside. */
  lookaheadGuard: 18,
  /** Initial weights of a stage's influence model. */
  influenceWeights: 19,
  /** The sample of the pool that the quality classifier learns to tell from the reference passages. */
  classifierSample: 20,
  /** The rows of a pool that its selection is compared with. */
  diagnosticsPool: 21,
  /** The order in which the shards of a corpus prepared beforehand are dealt to pools. */
  pools: 22,
} as const;

/**
 * A generator that can be read at any index: `stream` says what for, `stage` which stage (or epoch), `index` which
 * number. The counter is (index low, index high, stage, stream), the key the 64-bit seed.
 */
export class CounterRandom {
  readonly seed: number;
  readonly stream: number;
  readonly stage: number;
  private readonly k0: number;
  private readonly k1: number;
  private readonly words = new Uint32Array(4);

  constructor(seed: number, stream: number, stage = 0) {
    this.seed = seed;
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

/**
 * The numbers 0 to n-1 in a random order: Fisher-Yates with one draw a place, from the last place down. A hold-out or a
 * selection may have tens of millions of rows, so the draws are taken in spans.
 */
export function permutation(n: number, random: CounterRandom): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  const place = (i: number, uniform: number) => {
    const j = Math.min(i, Math.floor(uniform * (i + 1)));
    const moved = order[i]!;
    order[i] = order[j]!;
    order[j] = moved;
  };
  if (n <= SPAN) {
    for (let i = n - 1; i > 0; i--) place(i, random.uniform(i));
    return order;
  }
  const span = new PhiloxSpan(random.seed, random.stream, random.stage);
  for (let first = SPAN * Math.floor((n - 1) / SPAN); first >= 0; first -= SPAN) {
    const count = span.fill(first, Math.min(SPAN, n - first));
    for (let at = count - 1; first + at > 0 && at >= 0; at--)
      place(first + at, uniformOf(span.word0[at]!, span.word1[at]!));
  }
  return order;
}

/**
 * `wanted` distinct numbers from 0 to n - 1, or all n if there are no more, in ascending order; for samples much
 * smaller than n.
 */
export function distinctBelow(n: number, wanted: number, random: CounterRandom): number[] {
  const found = new Set<number>();
  for (let i = 0; found.size < Math.min(wanted, n); i++) found.add(random.below(i, n));
  return [...found].sort((a, b) => a - b);
}
