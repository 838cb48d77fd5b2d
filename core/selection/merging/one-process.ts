/**
 * Exact top-k over utilities that fit this process's memory: what a single machine needs, and what the merge of many
 * jobs must agree with. Almost every row is decided without its key:
 *
 *   1. the keys of a sample bracket the k-th largest key (`bracket.ts`);
 *   2. for each narrow interval of u/T, two bounds on the noise say which rows surely lie above or below the bracket
 *      (`decide.ts`), so that a row costs its random words and two comparisons;
 *   3. the few rows in between get their key, and the cut is made among those inside the bracket.
 *
 * If the bracket does not hold the cut, the counts show it. Then, as with small pools and with very many ties, the cut
 * is found by counting every key: three passes, no further memory. The picks are the same either way.
 *
 * Memory: 4 bytes for each selected row, 8 for each inside the bracket (some 2 %), and 1 MB.
 */
import { RunError } from '../../errors.ts';
import type { RowRange } from '../../formats.ts';
import { gumbelOf, uniformOf } from '../../random/philox.ts';
import { type KeyRecipe, keyOfGumbel, noiseSpan } from '../keys.ts';
import { type Bracket, boundsOf, type PoolUtilities, sampleBracket } from './bracket.ts';
import { type Cut, checkSize, criticalBin, cutter } from './cut.ts';
import { Decider } from './decide.ts';
import type { SelectedRows } from './merge.ts';
import { checkRanges, forEachSpan } from './spans.ts';

export type { PoolUtilities } from './bracket.ts';

/** Pools up to this size have every key counted: a sample would save nothing. */
const SMALL_POOL = 1 << 17;
/** Room for rows inside the bracket, as a share of the pool; there are more only when very many keys are equal. */
const BRACKET_SHARE = 1 / 8;
/** The most rows of a range that are handed on together. */
const PART_ROWS = 1 << 20;

/** Which rows of a pool are selected. */
export interface InMemorySelection {
  cut: Cut;
  /** Places of the selected rows among the utilities, ascending. */
  positions: Uint32Array;
}

/**
 * Selects the `k` rows with the largest keys, of equal keys the lowest rows: what `selectedRows` of `merge.ts` gives.
 *
 * @throws ConfigError when the pool has fewer than `k` rows; RunError when a utility is not a number, which names the
 *   row, or when the ranges are not as {@link PoolUtilities} requires.
 */
export function selectInMemory(pool: PoolUtilities, k: number, recipe: KeyRecipe): InMemorySelection {
  const rows = pool.utilities.length;
  checkRanges(pool.ranges, rows);
  checkSize(k, rows);
  const bracket = rows > SMALL_POOL ? sampleBracket(pool, k, recipe) : undefined;
  return (bracket && selectWithin(pool, k, recipe, bracket)) ?? selectByCounting(pool, k, recipe);
}

/**
 * The rows of a selection with their utilities and keys, ascending, a range at a time; ranges without any are left out,
 * and long ones come in parts.
 */
export function* inMemoryRows(
  { positions }: InMemorySelection,
  { ranges, utilities }: PoolUtilities,
  recipe: KeyRecipe,
): Generator<SelectedRows> {
  const noise = noiseSpan(recipe.noise);
  const keyOf = keyOfGumbel(recipe);
  let [start, next] = [0, 0];
  for (const range of partsOf(ranges)) {
    const end = start + range.end - range.begin;
    let until = next;
    while (until < positions.length && positions[until]! < end) until++;
    const selected = positions.subarray(next, until);
    const keys = new Uint32Array(selected.length);
    let done = 0;
    forEachSpan([range], (first, position, count) => {
      const taken = noise.fill(first, count);
      for (; done < selected.length && selected[done]! < start + position + taken; done++) {
        const i = selected[done]! - start - position;
        keys[done] = keyOf(utilities[selected[done]!]!, gumbelOf(uniformOf(noise.word0[i]!, noise.word1[i]!)));
      }
      return taken;
    });
    if (selected.length > 0) {
      const rows = Float64Array.from(selected, (position) => range.begin + position - start);
      yield { range, rows, utilities: Float32Array.from(selected, (position) => utilities[position]!), keys };
    }
    [start, next] = [end, until];
  }
}

/** The selection if its cut lies within the bracket, else undefined; the caller has checked `k`. */
export function selectWithin(
  { ranges, utilities }: PoolUtilities,
  k: number,
  recipe: KeyRecipe,
  { low, high }: Bracket,
): InMemorySelection | undefined {
  // Rows above the bracket come first. Pages of an array that are never written take no memory.
  const positions = new Uint32Array(k);
  let above = 0;
  const room = Math.ceil(utilities.length * BRACKET_SHARE);
  const insidePositions = new Uint32Array(room);
  const insideKeys = new Uint32Array(room);
  let inside = 0;
  const decider = new Decider(recipe.noise, boundsOf({ low, high }, recipe));
  const { word0, word1 } = decider.noise;
  const keyOf = keyOfGumbel(recipe);
  forEachSpan(ranges, (first, position, count) => {
    const span = utilities.subarray(position, position + count);
    const taken = decider.decide(first, span);
    if (taken === undefined) throw notANumber(first + span.findIndex(Number.isNaN));
    // Writes past an array's end do nothing, and the counts below reveal them.
    const { aboveCount, openCount } = decider;
    for (let i = 0; i < aboveCount; i++) positions[above + i] = position + decider.above[i]!;
    above += aboveCount;
    let n = inside;
    for (let i = 0; i < openCount; i++) {
      const row = decider.open[i]!;
      const key = keyOf(span[row]!, gumbelOf(uniformOf(word0[row]!, word1[row]!)));
      if (key < low) continue;
      insidePositions[n] = position + row;
      insideKeys[n++] = key;
    }
    inside = n;
    return taken;
  });
  if (inside > room || k <= above || k > above + inside) return undefined;
  const keys = insideKeys.subarray(0, inside);
  const cut = cutAmong((visit) => keys.forEach(visit), k - above);
  if (cut.threshold > high) return undefined; // rows that were taken to be in may be out
  const isIn = cutter(cut);
  let chosen = 0;
  for (let i = 0; i < inside; i++) if (isIn(keys[i]!)) insidePositions[chosen++] = insidePositions[i]!;
  mergeInto(positions, above, insidePositions.subarray(0, chosen));
  return { cut, positions };
}

/** Merges ascending numbers into an array that begins with `count` ascending ones and has room for all. */
function mergeInto(target: Uint32Array, count: number, others: Uint32Array): void {
  let [i, j] = [count - 1, others.length - 1];
  for (let at = count + others.length - 1; j >= 0; at--)
    target[at] = i >= 0 && target[i]! > others[j]! ? target[i--]! : others[j--]!;
}

/** The selection by the keys of all rows, which are computed three times over. */
function selectByCounting({ ranges, utilities }: PoolUtilities, k: number, recipe: KeyRecipe): InMemorySelection {
  const noise = noiseSpan(recipe.noise);
  const keyOf = keyOfGumbel(recipe);
  const forEachKey = (visit: (key: number, position: number) => void) =>
    forEachSpan(ranges, (first, position, count) => {
      const taken = noise.fill(first, count);
      for (let i = 0; i < taken; i++) {
        const utility = utilities[position + i]!;
        if (Number.isNaN(utility)) throw notANumber(first + i);
        visit(keyOf(utility, gumbelOf(uniformOf(noise.word0[i]!, noise.word1[i]!))), position + i);
      }
      return taken;
    });
  const cut = cutAmong(forEachKey, k);
  const positions = new Uint32Array(k);
  const isIn = cutter(cut);
  let picked = 0;
  forEachKey((key, position) => {
    if (isIn(key)) positions[picked++] = position;
  });
  return { cut, positions };
}

/** The cut after the `k` largest keys: by their upper 16 bits, then by the lower 16 of those in the critical group. */
function cutAmong(forEachKey: (visit: (key: number) => void) => void, k: number): Cut {
  const counts = new Float64Array(1 << 16);
  forEachKey((key) => {
    counts[key >>> 16]! += 1;
  });
  const group = criticalBin(counts, k);
  counts.fill(0);
  forEachKey((key) => {
    if (key >>> 16 === group.bin) counts[key & 0xffff]! += 1;
  });
  const low = criticalBin(counts, k - group.above);
  return { threshold: group.bin * 0x1_0000 + low.bin, tiesKept: k - group.above - low.above };
}

/** The ranges, cut into parts of at most {@link PART_ROWS}. */
function* partsOf(ranges: RowRange[]): Generator<RowRange> {
  for (const { shard, begin, end } of ranges)
    for (let at = begin; at < end; at += PART_ROWS) yield { shard, begin: at, end: Math.min(end, at + PART_ROWS) };
}

const notANumber = (row: number) =>
  new RunError(`row ${row}: its utility is not a number, so the row cannot be ranked; score it again.`);
