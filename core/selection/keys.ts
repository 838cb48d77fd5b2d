/**
 * The key by which rows compete for selection. Keeping the k rows with the largest `u/T + Gumbel` samples k rows without
 * replacement with probabilities softmax(u/T) (Gumbel-top-k, Kool et al. 2019). The recipe, for any row:
 *
 *   seed, stage, row   the run's seed, the stage's number, the row's global number
 *   counter            (row mod 2^32, row div 2^32, stage, stream): stream 0, or 8 in the control arm
 *   w0, w1             first two words of Philox4x32-10(counter, key = (seed mod 2^32, seed div 2^32))
 *   uniform            min(((w0 >> 5) 2^26 + (w1 >> 6) + 0.5) / 2^53, 1 - 2^-53), in float64
 *   g                  -log(-log(uniform)), in float64
 *   u                  the row's utility as float32, higher being better; 0 for every row where the selection is random
 *   key                float32(float64(u)/T + g); with `reference-code` float32(float64(u)/T - g), which is minus the
 *                      `prediction/T + Gumbel` of which the published code keeps the k smallest; with `none`
 *                      float32(float64(u)/T)
 *
 * The k largest keys are selected, and of equal keys the lowest row numbers. `test/parity/numpy_selection.py` does the
 * same in NumPy alone.
 */
import type { Arm } from '../formats.ts';
import { CounterRandom, STREAM } from '../random/philox.ts';
import { PhiloxSpan } from '../random/philox-span.ts';
import type { Kernel } from '../wasm/assemble.ts';

/**
 * What the noise depends on. Besides these, it depends on the row alone, so shards, jobs, order and retries do not
 * matter.
 */
export interface Noise {
  seed: number;
  stage: number;
  /** The control arm has noise of its own: its random rows must not follow the main arm's luck. Default: `main`. */
  arm?: Arm;
}

export interface KeyRecipe {
  noise: Noise;
  /** T: lower is closer to a hard top-k. */
  temperature: number;
  /** `none`: the k highest utilities. */
  gumbel: 'exact' | 'reference-code' | 'none';
}

const streamOf = (arm: Arm = 'main') => (arm === 'main' ? STREAM.gumbel : STREAM.controlGumbel);

export function noiseOf({ seed, stage, arm }: Noise): CounterRandom {
  return new CounterRandom(seed, streamOf(arm), stage);
}

/** The same noise for spans of consecutive rows, with kernels that work on it. */
export function noiseSpan({ seed, stage, arm }: Noise, work?: { pages: number; kernels: Kernel[] }): PhiloxSpan {
  return new PhiloxSpan(seed, streamOf(arm), stage, work);
}

/** The ordered key of a row with a utility. Utilities may be infinite; the caller refuses NaN. */
export function keyFunction(recipe: KeyRecipe): (row: number, utility: number) => number {
  const random = noiseOf(recipe.noise);
  const keyOf = keyOfGumbel(recipe);
  return (row, utility) => keyOf(utility, random.gumbel(row));
}

/** The factor of a row's Gumbel value in its key. */
export const NOISE_SIGN = { exact: 1, 'reference-code': -1, none: 0 } as const;

/** The ordered key of a utility and the Gumbel value of its row. */
export function keyOfGumbel({
  temperature,
  gumbel,
}: Omit<KeyRecipe, 'noise'>): (utility: number, gumbelValue: number) => number {
  const sign = NOISE_SIGN[gumbel];
  return (utility, gumbelValue) => orderedKey(utility / temperature + sign * gumbelValue);
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/**
 * Rounds a number to float32 and maps it to a uint32 in the same order: integers can be counted by their upper bits.
 */
export function orderedKey(value: number): number {
  float[0] = Math.fround(value) + 0; // -0 + 0 is 0: the two compare equal, so they get one key
  const pattern = bits[0]!;
  return (pattern < 0 ? ~pattern : pattern | 0x8000_0000) >>> 0;
}

/** The float32 of an ordered key. */
export function keyValue(key: number): number {
  bits[0] = key >= 0x8000_0000 ? key & 0x7fff_ffff : ~key;
  return float[0]!;
}
