import { RunError } from '../../errors.ts';
import type { RowRange } from '../../formats.ts';
import { SPAN } from '../../random/philox-span.ts';

/**
 * Goes through ranges of rows a span of consecutive rows at a time, as `PhiloxSpan` draws their noise.
 *
 * @param take returns how many of the `count` rows from `first` on it took. `position` counts rows over all ranges.
 */
export function forEachSpan(
  ranges: readonly RowRange[],
  take: (first: number, position: number, count: number) => number,
): void {
  let position = 0;
  for (const { begin, end } of ranges) {
    for (let first = begin; first < end; ) {
      const taken = take(first, position, Math.min(SPAN, end - first));
      first += taken;
      position += taken;
    }
  }
}

/** @throws RunError unless the ranges ascend, do not overlap, and have one utility for each row. */
export function checkRanges(ranges: readonly RowRange[], utilities: number): void {
  const rows = ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  if (rows !== utilities) throw new RunError(`${utilities} utilities for ${rows} rows: one is needed for each row.`);
  ranges.forEach(({ begin, end }, i) => {
    if (begin > end || (i > 0 && begin < ranges[i - 1]!.end))
      throw new RunError(`rows ${begin} to ${end}: ranges of scored rows must ascend and not overlap.`);
  });
}
