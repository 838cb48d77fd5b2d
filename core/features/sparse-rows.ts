/** Rows of few non-zero values among many columns, in compressed form (CSR). */
export interface SparseRows {
  rows: number;
  columns: number;
  /** `rows + 1` of them: row i has the entries from starts[i] to starts[i + 1]. */
  starts: Uint32Array;
  /** Column of each entry: no column twice in a row, in no particular order. */
  indices: Uint32Array;
  /** Value of each entry. */
  values: Float32Array;
}
