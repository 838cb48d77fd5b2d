/**
 * Two keys between which the k-th largest key of a pool almost surely lies, and what they say about a row whose utility
 * and noise are known only roughly.
 */
import type { RowRange } from '../../formats.ts';
import { type KeyRecipe, keyFunction, keyValue, NOISE_SIGN, orderedKey } from '../keys.ts';

/** Rows whose keys are sampled: the bracket then holds some 2 % of the pool, at a hundredth of a second's work. */
const SAMPLE = 1 << 16;
/** Half-width of the bracket in standard deviations of the sample's quantile: missed once in 10^9 selections. */
const DEVIATIONS = 6;
/** Added to it, in ranks, for quantiles too near an end for the normal approximation: P(Poisson(1) >= 13) is 10^-10. */
const RANKS = 12;
/**
 * How many intervals of u/T have bounds; the first and the last also take all values beyond. Each is 0.01 wide, and the
 * noise has a standard deviation of 1.3, so the width leaves few rows undecided.
 */
export const INTERVALS = 4096;
/**
 * Bounds of the noise by its sign: uniform numbers lie in 2^-54 to 1 - 2^-53, whose Gumbel values are -3.63 and 36.74.
 */
const NOISE_RANGE = { 1: [-4, 37], [-1]: [-37, 4], 0: [-1, 1] } as const;
/** The kernel's float32 arithmetic must not overflow for a row of the bracket: a fourth of the largest float32. */
const FAR = 2 ** 126;
/**
 * In values of the first Philox word. The uniform number takes its upper 27 bits, a step of 2^5; this is twice that.
 */
const WORD_MARGIN = 64;

/** A candidate pool and its utilities in memory. */
export interface PoolUtilities {
  /** Ascending, and no row twice; `shard` is only passed through. */
  ranges: RowRange[];
  /** One for each row, in the order of `ranges`. May be infinite, not NaN. */
  utilities: Float32Array;
}

/** A range of ordered keys, both ends included. */
export interface Bracket {
  low: number;
  high: number;
}

/** What rows are decided by. All numbers are float32 values. */
export interface Bounds {
  /** A row's interval is `(u perTemperature - base) scale`, rounded down and clamped to 0 to INTERVALS - 1. */
  perTemperature: number;
  base: number;
  scale: number;
  /**
   * Two noise words for each interval: rows with less than the first have a key below the bracket, rows with more than
   * the second one above it.
   */
  table: Uint32Array;
  /**
   * The noise word is the first Philox word XOR this: the word itself or, where the noise is subtracted, its
   * complement.
   */
  flip: 0 | -1;
}

/** Makes a bracket from the keys of rows spread over the pool. */
export function sampleBracket({ ranges, utilities }: PoolUtilities, k: number, recipe: KeyRecipe): Bracket {
  const rows = utilities.length;
  const keyOf = keyFunction(recipe);
  const keys = new Uint32Array(SAMPLE);
  let [range, start] = [0, 0];
  for (let i = 0; i < SAMPLE; i++) {
    // One row from each of SAMPLE equal parts. Its place there follows the golden ratio's multiples modulo 1, which
    // fill the interval evenly (Weyl 1916), so that periodic scores do not mislead the sample.
    const position = Math.floor(((i + ((i * GOLDEN_RATIO) % 1)) / SAMPLE) * rows);
    for (let size = sizeOf(ranges[range]!); position >= start + size; size = sizeOf(ranges[range]!)) {
      start += size;
      range++;
    }
    keys[i] = keyOf(ranges[range]!.begin + position - start, utilities[position]!);
  }
  keys.sort().reverse();
  const rank = (k / rows) * SAMPLE;
  const width = DEVIATIONS * Math.sqrt(rank * (1 - k / rows)) + RANKS;
  return {
    low: keys[Math.ceil(rank + width)] ?? 0,
    high: keys[Math.floor(rank - width)] ?? 0xffff_ffff,
  };
}

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const sizeOf = ({ begin, end }: RowRange) => end - begin;

/**
 * Rounding (of u/T, the intervals' ends, the noise, and the key to float32) always errs towards leaving a row
 * undecided.
 */
export function boundsOf({ low, high }: Bracket, { temperature, gumbel }: KeyRecipe): Bounds {
  const sign = NOISE_SIGN[gumbel];
  const [leastNoise, greatestNoise] = NOISE_RANGE[sign];
  const below = low > orderedKey(-Infinity) ? keyValue(low) : -Infinity;
  const above = high < orderedKey(Infinity) ? keyValue(high) : Infinity;
  const from = (below === -Infinity ? above : below) - greatestNoise;
  const to = (above === Infinity ? below : above) - leastNoise;
  const flip = sign < 0 ? -1 : 0;
  const perTemperature = Math.fround(1 / temperature);
  // Many times the float32 rounding error of u/T, its place and the key.
  const farthest = Math.max(Math.abs(from), Math.abs(to));
  const slack = 2 ** -20 * farthest;
  const scale = Math.fround((INTERVALS - 2) / (to - from + 4 * slack));
  const base = Math.fround(from - 2 * slack - 1 / scale);
  const table = new Uint32Array(2 * INTERVALS);
  const finite = farthest < FAR && [perTemperature, base, scale].every(Number.isFinite);
  const usable = finite && perTemperature > 0 && scale > 0;
  for (let interval = 0; interval < INTERVALS; interval++) {
    const least = interval === 0 ? -Infinity : base + interval / scale - slack;
    const greatest = interval === INTERVALS - 1 ? Infinity : base + (interval + 1) / scale + slack;
    const surelyBelow = Math.floor(noiseBelow(below - greatest, sign) * 2 ** 32) - WORD_MARGIN;
    const surelyAbove = Math.ceil(noiseBelow(above - least, sign) * 2 ** 32) + WORD_MARGIN;
    table[2 * interval] = usable ? Math.max(0, surelyBelow) : 0;
    table[2 * interval + 1] = usable ? Math.min(0xffff_ffff, surelyAbove) : 0xffff_ffff;
  }
  return { perTemperature, base, scale, table, flip };
}

/** P(noise < x): the noise is below x when its word is below 2^32 times this. */
function noiseBelow(x: number, sign: 1 | -1 | 0): number {
  if (sign === 0) return x > 0 ? 1 : 0;
  return sign > 0 ? Math.exp(-Math.exp(-x)) : 1 - Math.exp(-Math.exp(x));
}
