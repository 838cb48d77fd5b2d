/**
 * The design matrix of a ridge regression: a sparse block of n-grams and dense blocks beside it, over some of the rows.
 * Its columns are centred; dense ones are also brought to a standard deviation of 1, and a block whose penalty is r
 * times the common one is divided by the root of r, so that one penalty holds for all. Centring is done in the
 * products: the sparse block stays sparse.
 */
import type { SparseRows } from '../features/sparse-rows.ts';

/** Columns that are known for every row, such as a loss, or a hidden state. */
export interface DenseBlock {
  name: string;
  columns: number;
  /** `rows x columns`, row after row. */
  values: Float32Array;
}

export interface FeatureBlocks {
  ngrams?: SparseRows;
  dense?: DenseBlock[];
}

export class Design {
  /** All columns: the n-grams', then each dense block's. */
  readonly columns: number;
  /** Mean of each column over the rows, and what its centred values are multiplied by. */
  readonly means: Float64Array;
  readonly scales: Float64Array;
  private readonly blocks: FeatureBlocks;
  private readonly rows: Uint32Array;
  private readonly dense: DenseBlock[];

  /**
   * @param rows those that are fitted to.
   * @param relativePenalties of blocks by name, the n-grams' being 1; 1 where none is given.
   */
  constructor(blocks: FeatureBlocks, rows: Uint32Array, relativePenalties: Readonly<Record<string, number>> = {}) {
    this.blocks = blocks;
    this.rows = rows;
    this.dense = blocks.dense ?? [];
    const sparse = blocks.ngrams?.columns ?? 0;
    this.columns = this.dense.reduce((sum, { columns }) => sum + columns, sparse);
    this.means = new Float64Array(this.columns);
    this.scales = new Float64Array(this.columns).fill(1);
    if (blocks.ngrams) this.addSparseMeans(blocks.ngrams);
    let first = sparse;
    for (const block of this.dense) {
      this.standardise(block, first, relativePenalties[block.name] ?? 1);
      first += block.columns;
    }
  }

  private addSparseMeans({ starts, indices, values }: SparseRows): void {
    const { means, rows } = this;
    for (const row of rows)
      for (let at = starts[row]!; at < starts[row + 1]!; at++) means[indices[at]!]! += values[at]!;
    for (let column = 0; column < means.length; column++) means[column]! /= rows.length;
  }

  private standardise({ columns, values }: DenseBlock, first: number, relativePenalty: number): void {
    const { means, scales, rows } = this;
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (const row of rows) sum += values[row * columns + column]!;
      const mean = sum / rows.length;
      let squares = 0;
      for (const row of rows) squares += (values[row * columns + column]! - mean) ** 2;
      const deviation = Math.sqrt(squares / rows.length);
      means[first + column] = mean;
      // A constant column says nothing; what rounding leaves of it must not be blown up.
      scales[first + column] = deviation > 1e-7 * Math.abs(mean) ? 1 / (deviation * Math.sqrt(relativePenalty)) : 0;
    }
  }

  /** X^T y, for y of one value a row: the right-hand side of the normal equations. */
  transposeTimes(y: Float64Array): Float64Array {
    const result = new Float64Array(this.columns);
    this.pass(undefined, y, result);
    return result;
  }

  /** X^T X p, written to `result`. */
  gramTimes(p: Float64Array, result: Float64Array): void {
    this.pass(p, undefined, result);
  }

  /** One pass over the rows: result = X^T y, where y is given or X p. Sums are float64, in the order of the rows. */
  private pass(p: Float64Array | undefined, given: Float64Array | undefined, result: Float64Array): void {
    const { rows, means, scales, columns, dense } = this;
    const { starts, indices, values } = this.blocks.ngrams ?? NO_ROWS;
    const sparse = this.blocks.ngrams?.columns ?? 0;
    const scaled = p ? p.map((value, column) => value * scales[column]!) : new Float64Array(columns);
    let offset = 0;
    for (let column = 0; column < columns; column++) offset += means[column]! * scaled[column]!;
    result.fill(0);
    let total = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const [begin, end] = sparse > 0 ? [starts[row]!, starts[row + 1]!] : [0, 0];
      let y = 0;
      if (given) y = given[i]!;
      else {
        y = -offset;
        for (let at = begin; at < end; at++) y += values[at]! * scaled[indices[at]!]!;
        let first = sparse;
        for (const block of dense) {
          y += dot(block, row, scaled, first);
          first += block.columns;
        }
      }
      total += y;
      for (let at = begin; at < end; at++) result[indices[at]!]! += values[at]! * y;
      let first = sparse;
      for (const block of dense) {
        addTimes(block, row, y, result, first);
        first += block.columns;
      }
    }
    for (let column = 0; column < columns; column++)
      result[column] = (result[column]! - means[column]! * total) * scales[column]!;
  }
}

const NO_ROWS: SparseRows = {
  rows: 0,
  columns: 0,
  starts: new Uint32Array(1),
  indices: new Uint32Array(0),
  values: new Float32Array(0),
};

/** The dot product of a row of a block with as many entries of `weights`, from `first` on. */
export function dot({ columns, values }: DenseBlock, row: number, weights: Float64Array, first: number): number {
  const begin = row * columns;
  let sum = 0;
  for (let column = 0; column < columns; column++) sum += values[begin + column]! * weights[first + column]!;
  return sum;
}

function addTimes({ columns, values }: DenseBlock, row: number, y: number, result: Float64Array, first: number): void {
  const begin = row * columns;
  for (let column = 0; column < columns; column++) result[first + column]! += values[begin + column]! * y;
}
