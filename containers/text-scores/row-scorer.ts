/** Scores rows, for one part of a stage's scorer or for all; the higher, the more wanted. */
export interface RowScorer {
  /** A pure function of each row. */
  utilities(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float64Array>;
  /** Operations to score one row. */
  readonly cost: number;
}

/** Scores rows `size` at a time, so that no more are in memory at once. */
export async function inBatches(
  rows: readonly number[],
  size: number,
  onBatch: ((done: number) => void) | undefined,
  score: (part: number[]) => Promise<ArrayLike<number>>,
): Promise<Float64Array> {
  const utilities = new Float64Array(rows.length);
  for (let first = 0; first < rows.length; first += size) {
    const part = rows.slice(first, first + size);
    utilities.set(await score(part), first);
    onBatch?.(first + part.length);
  }
  return utilities;
}
