import type { RowRange } from '../formats.ts';
import { RUN } from '../random/philox-run.ts';

/**
 * Goes through ranges of rows a run of consecutive rows at a time, as `PhiloxRun` draws their noise.
 *
 * @param take returns how many of the `count` rows from `first` on it took. `position` counts the rows of all ranges.
 */
export function forEachRun(
  ranges: readonly RowRange[],
  take: (first: number, position: number, count: number) => number,
): void {
  let position = 0;
  for (const { begin, end } of ranges) {
    for (let first = begin; first < end; ) {
      const taken = take(first, position, Math.min(RUN, end - first));
      first += taken;
      position += taken;
    }
  }
}
