/** The documents with the highest and the lowest utilities, for people to read in the report. */
import type { Extremes } from '../../formats.ts';

/** How many documents are kept at each end. */
const KEPT = 8;

/** The positions of the highest and lowest values, in the order of {@link Extremes}. Positions are in row order. */
export function extremePositions(values: Float32Array): { highest: number[]; lowest: number[] } {
  return {
    highest: firstPositions(values, (a, b) => a > b),
    lowest: firstPositions(values, (a, b) => a < b),
  };
}

function firstPositions(values: Float32Array, before: (a: number, b: number) => boolean): number[] {
  const kept: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (kept.length === KEPT && !before(value, values[kept[KEPT - 1]!]!)) continue;
    let at = kept.length;
    while (at > 0 && before(value, values[kept[at - 1]!]!)) at--;
    kept.splice(at, 0, i);
    kept.length = Math.min(kept.length, KEPT);
  }
  return kept;
}

/** Merges several jobs' extremes; the result is the same for any number and order of the parts. */
export function mergeExtremes(parts: Extremes[]): Extremes {
  const highest = parts.flatMap((part) => part.highest);
  const lowest = parts.flatMap((part) => part.lowest);
  return {
    highest: highest.sort((a, b) => b.utility - a.utility || a.row - b.row).slice(0, KEPT),
    lowest: lowest.sort((a, b) => a.utility - b.utility || a.row - b.row).slice(0, KEPT),
  };
}
