/** Predictions of the influence model for many documents of different lengths. */

import type { ParameterSet } from '../parameters.ts';
import type { InfluenceRegressor, PieceBatch, PieceBatchShape } from './influence-regressor.ts';
import { type PieceBatchPlan, type PieceLimits, planPieceBatches } from './piece-batches.ts';

/**
 * A layer's results for this many tokens stay in a CPU's caches. The last bits of a score may depend on this number.
 */
export const CPU_BATCH_TOKENS = 512;

/** A document as the encoder reads it: the token ids of each of its pieces. */
export type DocumentPieces = readonly ArrayLike<number>[];

/**
 * How many graphs are kept. Each has its own memory for one batch's activations, and the rows of one corpus have few
 * lengths. A call goes through the lengths in order, so it compiles each graph at most once.
 */
const KEPT_GRAPHS = 4;

export class InfluenceScorer {
  private readonly regressor: InfluenceRegressor;
  private readonly parameters: ParameterSet;
  private readonly limits: PieceLimits;
  /** The batch shapes whose graphs are kept, by length and masking; the most recently used is last. */
  private readonly kept = new Map<string, PieceBatchShape>();

  constructor(regressor: InfluenceRegressor, parameters: ParameterSet, limits: PieceLimits) {
    this.regressor = regressor;
    this.parameters = parameters;
    this.limits = limits;
  }

  /**
   * The head applied to the mean of the encoder's last states over all tokens of a document's pieces, or to zeros if
   * the document has no token. [documents]; each score depends, to the bit, on its own document alone.
   */
  async score(documents: readonly DocumentPieces[], onBatch?: (share: number) => void): Promise<Float32Array> {
    const pieces = documents.flat();
    const dots = new Float64Array(pieces.length);
    const lengths = pieces.map(({ length }) => length);
    let [done, all] = [0, 0];
    const plan = planPieceBatches(lengths, this.limits);
    for (const { length, pieces } of plan) all += length * pieces.length;
    for (const batch of plan) {
      await this.addBatch(batch, pieces, dots);
      done += batch.length * batch.pieces.length;
      onBatch?.(done / all);
    }
    const bias = this.parameters.view('regressor.bias')[0]!;
    let piece = 0;
    return Float32Array.from(documents, (own) => {
      let [sum, tokens] = [0, 0];
      for (const { length } of own) {
        sum += dots[piece++]!;
        tokens += length;
      }
      return sum / Math.max(1, tokens) + bias;
    });
  }

  /** The head's weights times the summed states of each piece of the batch. */
  private async addBatch(
    { length, capacity, full, pieces: numbers }: PieceBatchPlan,
    pieces: readonly ArrayLike<number>[],
    dots: Float64Array,
  ): Promise<void> {
    const batch: PieceBatch = {
      pieces: capacity,
      length,
      tokens: new Int32Array(capacity * length),
      mask: full ? undefined : new Float32Array(capacity * length),
    };
    for (const [i, number] of numbers.entries()) {
      const ids = pieces[number]!;
      batch.tokens.set(ids, i * length);
      batch.mask?.fill(1, i * length, i * length + ids.length);
    }
    await this.keep({ pieces: capacity, length, masked: !full });
    const sums = await this.regressor.stateSums(this.parameters, batch); // [capacity, d]
    const head = this.parameters.view('regressor.weight');
    for (const [i, number] of numbers.entries()) {
      let dot = 0;
      for (let j = 0; j < head.length; j++) dot += head[j]! * sums[i * head.length + j]!;
      dots[number] = dot;
    }
  }

  private async keep(shape: PieceBatchShape): Promise<void> {
    const key = `${shape.length} ${shape.masked}`;
    this.kept.delete(key);
    this.kept.set(key, shape);
    for (const [oldest, shape] of this.kept) {
      if (this.kept.size <= KEPT_GRAPHS) return;
      this.kept.delete(oldest);
      await this.regressor.releaseStateSums(this.parameters, shape);
    }
  }
}
