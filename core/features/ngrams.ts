/**
 * Hashed counts of a row's tokens and of its pairs of neighbouring tokens, as log(1 + count): the features of the
 * n-gram influence model. Unlike DSIR's (core/dsir) they are of the model's own tokens, which a row already has.
 */
import { spread, spreadPair } from '../random/spread.ts';
import type { SparseRows } from './sparse-rows.ts';

export interface NgramSpec {
  /** Tokens in a row. */
  sequenceLength: number;
  vocabularySize: number;
  /**
   * Columns, such as 2^13 to 2^18. If the vocabulary fills at most half of them, each token has its own and pairs share
   * the rest; otherwise tokens and pairs share all.
   */
  buckets: number;
}

export class NgramFeatures {
  readonly spec: NgramSpec;
  private readonly columnOf: Uint32Array;
  private readonly counts: Uint32Array;
  private readonly touched: Uint32Array;
  private readonly logarithms: Float32Array;

  constructor(spec: NgramSpec) {
    const { sequenceLength, vocabularySize, buckets } = spec;
    this.spec = spec;
    const own = 2 * vocabularySize <= buckets;
    this.columnOf = Uint32Array.from({ length: vocabularySize }, (_, token) =>
      own ? token : (spread(token) >>> 0) * (buckets / 2 ** 32),
    );
    this.counts = new Uint32Array(buckets);
    this.touched = new Uint32Array(2 * sequenceLength);
    this.logarithms = Float32Array.from({ length: 2 * sequenceLength + 1 }, (_, count) => Math.log1p(count));
  }

  /**
   * The features of rows of tokens.
   *
   * @param tokens `rows x sequenceLength`, row after row; a negative number is no token, and in no pair.
   * @throws RangeError when a token is not in the vocabulary.
   */
  rows(tokens: Int32Array): SparseRows {
    const { columnOf, counts, touched, logarithms } = this;
    const hashOfPair = spreadPair; // an imported name is looked up anew each time it is used
    const { sequenceLength, vocabularySize, buckets } = this.spec;
    const rows = tokens.length / sequenceLength;
    if (!Number.isInteger(rows)) throw new RangeError(`${tokens.length} tokens are not rows of ${sequenceLength}`);
    const firstOfPairs = 2 * vocabularySize <= buckets ? vocabularySize : 0;
    const scale = (buckets - firstOfPairs) / 2 ** 32;
    const starts = new Uint32Array(rows + 1);
    const indices = new Uint32Array(2 * tokens.length);
    const values = new Float32Array(2 * tokens.length);
    let entries = 0;
    for (let row = 0; row < rows; row++) {
      let distinct = 0;
      let previous = -1;
      for (let at = row * sequenceLength; at < (row + 1) * sequenceLength; at++) {
        const token = tokens[at]!;
        if (token >= vocabularySize)
          throw new RangeError(`row ${row}: token ${token} is not in the vocabulary of ${vocabularySize}`);
        if (token >= 0) {
          const column = columnOf[token]!;
          if (counts[column]!++ === 0) touched[distinct++] = column;
          if (previous >= 0) {
            const pair = firstOfPairs + (((hashOfPair(previous, token) >>> 0) * scale) >>> 0);
            if (counts[pair]!++ === 0) touched[distinct++] = pair;
          }
        }
        previous = token;
      }
      for (let i = 0; i < distinct; i++) {
        const column = touched[i]!;
        indices[entries] = column;
        values[entries++] = logarithms[counts[column]!]!;
        counts[column] = 0;
      }
      starts[row + 1] = entries;
    }
    return { rows, columns: buckets, starts, indices: indices.slice(0, entries), values: values.slice(0, entries) };
  }
}
