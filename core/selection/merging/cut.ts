import { ConfigError } from '../../errors.ts';
import { counted } from '../../plural.ts';

/**
 * Where a selection ends: rows whose ordered key is above the threshold are in, and the first of those that equal it.
 */
export interface Cut {
  /** An ordered key. */
  threshold: number;
  /** How many of the rows whose key equals the threshold are in: those with the lowest row numbers. */
  tiesKept: number;
}

/** The bin that holds the `wanted`-th largest value, and how many values lie in the bins above it. */
export function criticalBin(counts: ArrayLike<number>, wanted: number): { bin: number; above: number } {
  let above = 0;
  for (let bin = counts.length - 1; bin >= 0; bin--) {
    if (above + counts[bin]! >= wanted) return { bin, above };
    above += counts[bin]!;
  }
  throw new RangeError(`asked for the ${wanted}th largest of ${above} values`);
}

/** Decides row by row, in ascending order of rows, whether a key is in. */
export function cutter({ threshold, tiesKept }: Cut): (key: number) => boolean {
  let ties = tiesKept;
  return (key) => key > threshold || (key === threshold && ties-- > 0);
}

/** @throws ConfigError when a selection of `k` rows cannot be made from a pool. */
export function checkSize(k: number, poolRows: number): void {
  if (Number.isInteger(k) && k >= 1 && k <= poolRows) return;
  throw new ConfigError(
    `selection: cannot select ${counted(k, 'row')} from a candidate pool of ${poolRows}; ` +
      'lower selection.fraction or pretrain.stepsPerStage, or add text to the corpus.',
  );
}
