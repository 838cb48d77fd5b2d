/**
 * Random selection: gives what selecting by a utility of 0 for every row would, without any scores. The key grows with
 * the row's uniform number alone, and the k-th largest of n such numbers lies close to 1 - k/n. So one pass counts the
 * rows above a bracket around that place and keeps the keys of the few inside; a second pass lists the rows.
 */
import type { RowRange } from '../formats.ts';
import { gumbelOf, uniformOf } from '../random/philox.ts';
import { keyValue, type Noise, noiseSpan, orderedKey } from './keys.ts';
import { type Cut, checkSize, cutter } from './merging/cut.ts';
import type { SelectedRows } from './merging/merge.ts';
import { forEachSpan } from './merging/spans.ts';

/** Half-width of the first bracket in standard deviations of the k-th largest: missed once in 10^15 selections. */
const DEVIATIONS = 8;

/**
 * The exact cut after the `k` largest keys of the ranges' rows.
 *
 * @throws ConfigError when there are fewer than `k` rows.
 */
export function randomCut(ranges: RowRange[], k: number, noise: Noise): Cut {
  const rows = ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  checkSize(k, rows);
  const centre = 1 - k / rows;
  const deviation = Math.sqrt((centre * (1 - centre)) / rows) + 1 / rows;
  for (let width = DEVIATIONS * deviation; ; width *= 2) {
    const cut = cutWithin(ranges, k, noise, Math.max(0, centre - width), Math.min(1, centre + width));
    if (cut) return cut;
  }
}

/** The cut if it lies well inside a bracket of uniform numbers, else undefined. */
function cutWithin(ranges: RowRange[], k: number, noise: Noise, low: number, high: number): Cut | undefined {
  const random = noiseSpan(noise);
  const inside: number[] = [];
  let above = 0;
  forEachSpan(ranges, (first, _, count) => {
    const taken = random.fill(first, count);
    for (let i = 0; i < taken; i++) {
      const uniform = uniformOf(random.word0[i]!, random.word1[i]!);
      if (uniform >= high) above++;
      else if (uniform >= low) inside.push(orderedKey(gumbelOf(uniform)));
    }
    return taken;
  });
  if (k <= above || k > above + inside.length) return undefined;
  const keys = Uint32Array.from(inside).sort(); // ascending
  const threshold = keys[keys.length - (k - above)]!;
  // Next to an edge, rounding could give a row outside the bracket the threshold's key.
  const nearLow = low > 0 && threshold <= orderedKey(gumbelOf(low)) + 1;
  const nearHigh = high < 1 && threshold >= orderedKey(gumbelOf(high)) - 1;
  if (nearLow || nearHigh) return undefined;
  const larger = keys.length - (keys.lastIndexOf(threshold) + 1);
  return { threshold, tiesKept: k - above - larger };
}

/** The selected rows in ascending order, a range at a time; ranges without any are left out. */
export function* randomRows(ranges: RowRange[], noise: Noise, cut: Cut): Generator<SelectedRows> {
  const random = noiseSpan(noise);
  const isIn = cutter(cut);
  // Most rows are so far below the cut that no logarithm is needed to tell; float32 rounding is much less than the
  // margin.
  const surelyOut = Math.exp(-Math.exp(-keyValue(cut.threshold))) - 1e-5;
  for (const range of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const rows: number[] = [];
    const keys: number[] = [];
    forEachSpan([range], (first, _, count) => {
      const taken = random.fill(first, count);
      for (let i = 0; i < taken; i++) {
        const uniform = uniformOf(random.word0[i]!, random.word1[i]!);
        if (uniform < surelyOut) continue;
        const key = orderedKey(gumbelOf(uniform));
        if (!isIn(key)) continue;
        rows.push(first + i);
        keys.push(key);
      }
      return taken;
    });
    if (rows.length === 0) continue;
    yield {
      range,
      rows: Float64Array.from(rows),
      keys: Uint32Array.from(keys),
      utilities: new Float32Array(rows.length),
    };
  }
}
