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

/** The rows of all parts, one part after the other. */
export function joinRows(parts: SparseRows[]): SparseRows {
  const columns = parts[0]?.columns ?? 0;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const entries = parts.reduce((sum, part) => sum + part.starts[part.rows]!, 0);
  const joined: SparseRows = {
    rows,
    columns,
    starts: new Uint32Array(rows + 1),
    indices: new Uint32Array(entries),
    values: new Float32Array(entries),
  };
  let [row, entry] = [0, 0];
  for (const part of parts) {
    if (part.columns !== columns) throw new RangeError(`rows of ${part.columns} columns follow rows of ${columns}`);
    joined.indices.set(part.indices, entry);
    joined.values.set(part.values, entry);
    for (let i = 0; i <= part.rows; i++) joined.starts[row + i] = entry + part.starts[i]!;
    row += part.rows;
    entry += part.starts[part.rows]!;
  }
  return joined;
}
