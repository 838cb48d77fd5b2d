import type { DocumentBatch } from '../../core/tokenizer/encoder-input.ts';
import { checkTokens } from '../decoder/language-model.ts';
import { Int8ParameterSet } from '../int8-parameters.ts';
import { squaredError } from '../losses.ts';
import { type ParameterSet, type ParameterSpec, sizeOf } from '../parameters.ts';
import type { InputSpec, Runtime } from '../runtime/runtime.ts';
import { type BertShape, bertDropoutShapes, bertPrediction, bertSpecs, bertStateSums } from './bert.ts';

export type { BertShape } from './bert.ts';

export interface LabelledBatch extends DocumentBatch {
  /** [documents] */
  labels: Float32Array;
  /** [documents] */
  weights: Float32Array;
}

/** Pieces of documents side by side, whichever documents they belong to. */
export interface PieceBatch {
  pieces: number;
  length: number;
  /** [pieces * length], row-major. */
  tokens: Int32Array;
  /** Same size: 1 for a token, 0 for padding. A piece may be all padding. @default - there is none */
  mask?: Float32Array;
}

/** Everything that the graph for a batch of pieces depends on. */
export interface PieceBatchShape {
  pieces: number;
  length: number;
  /** Whether there is a mask. */
  masked: boolean;
}

/** Randomness is an input: `random(i)` is the i-th uniform number in (0, 1) of this call. */
export interface Dropout {
  rate: number;
  random(index: number): number;
}

/**
 * The data influence model: a BERT encoder, a masked mean pool and a linear head that predicts one number per document.
 */
export class InfluenceRegressor {
  readonly specs: ParameterSpec[];
  readonly shape: BertShape;
  private readonly runtime: Runtime;

  constructor(runtime: Runtime, shape: BertShape) {
    this.runtime = runtime;
    this.shape = shape;
    this.specs = bertSpecs(shape);
  }

  get onGpu(): boolean {
    return this.runtime.onGpu;
  }

  /** Whether the engine can multiply in 8 bits. */
  get hasInt8(): boolean {
    return this.runtime.name === 'onnx';
  }

  /** The loss `sum_i weights_i * (prediction_i - label_i)^2`; `gradient` is overwritten with its derivative. */
  async lossAndGradient(
    parameters: ParameterSet,
    batch: LabelledBatch,
    dropout: Dropout | undefined,
    gradient: ParameterSet,
  ): Promise<number> {
    const { documents, chunks, length, tokens, mask, labels, weights } = batch;
    this.check(tokens, documents * chunks * length, length);
    const shape = [documents, chunks, length];
    const perDocument: InputSpec = { shape: [documents], dtype: 'float32' };
    const dropoutMasks = dropout ? bertDropoutShapes(this.shape, documents, chunks) : {};
    const executable = await this.runtime.compile({
      key: `bert ${dropout ? 'loss-dropout' : 'loss'} ${shape.join('x')} ${JSON.stringify(this.shape)}`,
      parameters: this.specs,
      inputs: {
        tokens: { shape, dtype: 'int32' },
        mask: { shape, dtype: 'float32' },
        ...dropoutMasks,
        labels: perDocument,
        weights: perDocument,
      },
      differentiate: true,
      build: (p, i) => squaredError(bertPrediction(this.shape, p, i), i.labels!, i.weights!),
    });
    const inputs = { tokens, mask, labels, weights, ...(dropout && draw(dropoutMasks, dropout)) };
    const [loss] = await executable.run(parameters, inputs, gradient);
    return loss!;
  }

  /** Sums of the encoder's last states over each piece's tokens, [pieces * width]. */
  async stateSums(parameters: ParameterSet, batch: PieceBatch): Promise<Float32Array> {
    const { pieces, length, tokens, mask } = batch;
    this.check(tokens, pieces * length, length);
    const shape = [pieces, length];
    const executable = await this.runtime.compile({
      key: this.stateSumsKey(parameters, { pieces, length, masked: mask !== undefined }),
      parameters: this.specs,
      inputs: { tokens: { shape, dtype: 'int32' }, ...(mask && { mask: { shape, dtype: 'float32' } }) },
      differentiate: false,
      int8: parameters instanceof Int8ParameterSet ? parameters.matrices : undefined,
      build: (p, i) => bertStateSums(this.shape, p, i),
    });
    return executable.run(parameters, { tokens, ...(mask && { mask }) });
  }

  /** Frees the graph that {@link stateSums} compiled for batches of this shape. */
  releaseStateSums(parameters: ParameterSet, shape: PieceBatchShape): Promise<void> {
    return this.runtime.release(this.stateSumsKey(parameters, shape));
  }

  /** The parameters with the layers' matrices in 8 bits, for {@link stateSums}. They must not change afterwards. */
  inInt8(parameters: ParameterSet): Int8ParameterSet {
    const matrices = this.specs.filter(({ name, shape }) => name.startsWith('encoder.') && shape.length === 2);
    return new Int8ParameterSet(
      parameters,
      matrices.map(({ name }) => name),
    );
  }

  private stateSumsKey(parameters: ParameterSet, { pieces, length, masked }: PieceBatchShape): string {
    const precision = parameters instanceof Int8ParameterSet ? `int8:${parameters.number}` : 'float32';
    const what = `bert state sums ${precision} ${masked ? 'masked' : 'whole'}`;
    return `${what} ${pieces}x${length} ${JSON.stringify(this.shape)}`;
  }

  private check(tokens: Int32Array, count: number, length: number): void {
    if (length > this.shape.maxPositions)
      throw new RangeError(`chunks of ${length} tokens, but the encoder has ${this.shape.maxPositions} positions`);
    checkTokens(tokens, count, this.shape.vocabularySize);
  }
}

/**
 * Inverted-dropout masks: each element is 0 with probability `rate`, else 1 / (1 - rate). The random numbers are
 * numbered consecutively across all inputs.
 */
function draw(shapes: Readonly<Record<string, InputSpec>>, { rate, random }: Dropout): Record<string, Float32Array> {
  let index = 0;
  return Object.fromEntries(
    Object.entries(shapes).map(([name, { shape }]) => {
      return [name, Float32Array.from({ length: sizeOf(shape) }, () => (random(index++) < rate ? 0 : 1 / (1 - rate)))];
    }),
  );
}
