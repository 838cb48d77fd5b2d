/** A raw score of rows, by what the scorer's parts are made of; the higher, the more wanted. */
export interface RowScorer {
  /** A pure function of each row. */
  utilities(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float64Array>;
  /** Operations of scoring one row. */
  readonly cost: number;
}
