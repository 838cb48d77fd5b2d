import type { ParameterSet, ParameterSpec } from '../parameters.ts';
import type { Executable, InputSpec, Inputs, Program, Runtime } from '../runtime/runtime.ts';
import {
  type DecoderShape,
  decoderHiddenStates,
  decoderLoss,
  decoderRowFeatures,
  decoderSpecs,
  decoderTargetLogProbabilities,
  decoderTargetLosses,
  decoderTokenLosses,
} from './decoder.ts';

/**
 * Rows of equal length. The caller pads a shorter passage on the right, with any token and weight 0: attention is
 * causal, so what follows a token cannot change its loss.
 */
export interface TokenBatch {
  batch: number;
  /** Tokens in a row, at least 2; the first is only context. */
  length: number;
  /** [batch * length], row-major. */
  tokens: Int32Array;
  /** [batch * (length - 1)]: the weight of each predicted token. By default the loss is the mean over all of them. */
  weights?: Float32Array;
  /**
   * {@link LanguageModel.lossAndGradient} computes the rows in this many equal parts, one after the other in one run,
   * and adds up their results; activations then take only the memory of one part. Must divide `batch`. @default 1
   */
  microBatches?: number;
}

/**
 * A causal language model on one runtime. It holds no weights: each call is given them and never changes them.
 */
export class LanguageModel {
  readonly specs: ParameterSpec[];
  readonly shape: DecoderShape;
  private readonly runtime: Runtime;

  constructor(runtime: Runtime, shape: DecoderShape) {
    this.runtime = runtime;
    this.shape = shape;
    this.specs = decoderSpecs(shape);
  }

  /**
   * The loss `sum_i weights_i * nll_i`, in nats, over the tokens 1 to length - 1 of each row; `gradient` is overwritten
   * with its derivative.
   */
  async lossAndGradient(parameters: ParameterSet, batch: TokenBatch, gradient: ParameterSet): Promise<number> {
    const { microBatches = 1 } = batch;
    if (batch.batch % microBatches !== 0)
      throw new RangeError(`${batch.batch} rows are no multiple of ${microBatches} micro-batches`);
    const { inputs } = predictionInputs(batch, this.shape.vocabularySize);
    const weights = batch.weights ?? uniformWeights(batch);
    const part = { batch: batch.batch / microBatches, length: batch.length };
    const shapes = { ...predictionShapes(part), weights: predictions(part) };
    const executable = await this.compile('loss', { ...part, microBatches }, true, shapes, (p, i) =>
      decoderLoss(this.shape, p, i.tokens!, i.targets!, i.weights!),
    );
    const [loss] = await executable.run(parameters, { ...inputs, weights }, gradient);
    return loss!;
  }

  /**
   * Negative log-likelihood in nats of each predicted token, [batch * (length - 1)]; `weights` are not used. On `onnx` a
   * row's results have the same bits anywhere in a batch of the same shape. In another shape the last bit may differ,
   * so pad the last batch to the usual size where results must not depend on how rows were batched.
   */
  async tokenLosses(parameters: ParameterSet, batch: TokenBatch): Promise<Float32Array> {
    const { inputs, shapes } = predictionInputs(batch, this.shape.vocabularySize);
    const executable = await this.compile('token-losses', batch, false, shapes, (p, i) =>
      decoderTokenLosses(this.shape, p, i.tokens!, i.targets!),
    );
    return executable.run(parameters, inputs);
  }

  /**
   * Mean loss in nats and mean final hidden state of each row, [batch * (1 + width)]; `weights` are not used. On `onnx`
   * a row's results have the same bits anywhere in a batch; a mean over the row's losses taken in the graph would not.
   */
  async rowFeatures(parameters: ParameterSet, batch: TokenBatch): Promise<Float32Array> {
    const { inputs, shapes } = predictionInputs(batch, this.shape.vocabularySize);
    const executable = await this.compile('row-features', batch, false, shapes, (p, i) =>
      decoderRowFeatures(this.shape, p, i.tokens!, i.targets!),
    );
    const found = await executable.run(parameters, inputs);
    const steps = batch.length - 1;
    const { width } = this.shape;
    const features = new Float32Array(batch.batch * (1 + width));
    for (let row = 0; row < batch.batch; row++) {
      const [from, to] = [row * (steps + width), row * (1 + width)];
      let sum = 0;
      for (let i = from; i < from + steps; i++) sum += found[i]!;
      features[to] = sum / steps;
      features.set(found.subarray(from + steps, from + steps + width), to + 1);
    }
    return features;
  }

  /** Final hidden states after every token, [batch * length * width]; `weights` are not used. */
  async hiddenStates(parameters: ParameterSet, batch: TokenBatch): Promise<Float32Array> {
    const { batch: rows, length, tokens } = batch;
    checkTokens(tokens, rows * length, this.shape.vocabularySize);
    const inputs: Program['inputs'] = { tokens: { shape: [rows, length], dtype: 'int32' } };
    const executable = await this.compile('hidden-states', batch, false, inputs, (p, i) =>
      decoderHiddenStates(this.shape, p, i.tokens!),
    );
    return executable.run(parameters, { tokens });
  }

  /**
   * Final hidden states after some tokens of each row, [batch * count * width]: the last layer computes no others.
   *
   * @param positions [batch * count], the same number for each row.
   */
  async hiddenStatesAt(parameters: ParameterSet, batch: TokenBatch, positions: Int32Array): Promise<Float32Array> {
    const { batch: rows, length, tokens } = batch;
    checkTokens(tokens, rows * length, this.shape.vocabularySize);
    const count = positions.length / rows;
    if (!Number.isInteger(count) || !positions.every((position) => position >= 0 && position < length))
      throw new RangeError(
        `expected equally many positions below ${length} in each of ${rows} rows, got [${positions}]`,
      );
    const inputs: Program['inputs'] = {
      tokens: { shape: [rows, length], dtype: 'int32' },
      positions: { shape: [rows, count], dtype: 'int32' },
    };
    const executable = await this.compile(`hidden-states-at-${count}`, batch, false, inputs, (p, i) =>
      decoderHiddenStates(this.shape, p, i.tokens!, i.positions!),
    );
    return executable.run(parameters, { tokens, positions });
  }

  /**
   * Frees the memory of {@link hiddenStates} for batches of this size, which otherwise stays allocated between calls.
   */
  async releaseHiddenStates(size: BatchSize): Promise<void> {
    await this.runtime.release(this.key('hidden-states', size));
  }

  /**
   * The head's prediction of one target for each hidden state, [targets.length * 2]: first the target's logit less the
   * largest (0 if the target is a greedy choice), then the logarithm of the largest probability. Their sum is the
   * target's log-probability.
   *
   * @param hidden [targets.length * width], states from {@link hiddenStates}.
   */
  async targetLogProbabilities(
    parameters: ParameterSet,
    hidden: Float32Array,
    targets: Int32Array,
  ): Promise<Float32Array> {
    return this.head('target-log-probabilities', parameters, hidden, targets, decoderTargetLogProbabilities);
  }

  /**
   * The negative log-likelihood in nats of one target for each hidden state, [targets.length]. On `onnx`, as long as
   * the number of states is a multiple of 16, it has the same bits whatever that number and the state's place.
   *
   * @param hidden [targets.length * width], states from {@link hiddenStates}.
   */
  async targetLosses(parameters: ParameterSet, hidden: Float32Array, targets: Int32Array): Promise<Float32Array> {
    return this.head('target-losses', parameters, hidden, targets, decoderTargetLosses);
  }

  /** Runs a program that reads hidden states, each with its target. */
  private async head(
    what: string,
    parameters: ParameterSet,
    hidden: Float32Array,
    targets: Int32Array,
    program: typeof decoderTargetLosses,
  ): Promise<Float32Array> {
    const rows = targets.length;
    checkTokens(targets, rows, this.shape.vocabularySize);
    const inputs: Program['inputs'] = {
      hidden: { shape: [rows, this.shape.width], dtype: 'float32' },
      targets: { shape: [rows], dtype: 'int32' },
    };
    const size = { batch: rows, length: 1 };
    const executable = await this.compile(what, size, false, inputs, (p, i) =>
      program(this.shape, p, i.hidden!, i.targets!),
    );
    return executable.run(parameters, { hidden, targets });
  }

  /** Whether the model computes on a GPU: every run then copies the parameters from the host. */
  get onGpu(): boolean {
    return this.runtime.onGpu;
  }

  private key(what: string, { batch, length, microBatches = 1 }: BatchSize): string {
    const size = microBatches > 1 ? `${microBatches}x${batch}x${length}` : `${batch}x${length}`;
    return `decoder ${what} ${size} ${JSON.stringify(this.shape)}`;
  }

  private compile(
    what: string,
    size: BatchSize,
    differentiate: boolean,
    inputs: Program['inputs'],
    build: Program['build'],
  ): Promise<Executable> {
    const { microBatches = 1 } = size;
    const program: Program = { key: this.key(what, size), parameters: this.specs, inputs, differentiate, build };
    return this.runtime.compile(microBatches > 1 ? { ...program, microBatches } : program);
  }
}

/** The size of one micro-batch, and how many there are. */
type BatchSize = Pick<TokenBatch, 'batch' | 'length' | 'microBatches'>;

/** Splits rows into the tokens that are read (all but the last) and those that are predicted (all but the first). */
function predictionInputs(batch: TokenBatch, vocabularySize: number) {
  const { batch: rows, length, tokens } = batch;
  if (length < 2) throw new RangeError(`a row needs at least 2 tokens to predict one, got ${length}`);
  checkTokens(tokens, rows * length, vocabularySize);
  const steps = length - 1;
  const read = new Int32Array(rows * steps);
  const predicted = new Int32Array(rows * steps);
  for (let row = 0; row < rows; row++) {
    const start = row * length;
    read.set(tokens.subarray(start, start + steps), row * steps);
    predicted.set(tokens.subarray(start + 1, start + length), row * steps);
  }
  const inputs: Inputs = { tokens: read, targets: predicted };
  return { inputs, shapes: predictionShapes(batch) };
}

function predictionShapes({ batch, length }: BatchSize): Record<string, InputSpec> {
  const steps = length - 1;
  return { tokens: { shape: [batch, steps], dtype: 'int32' }, targets: { shape: [batch * steps], dtype: 'int32' } };
}

function predictions({ batch, length }: BatchSize): InputSpec {
  return { shape: [batch * (length - 1)], dtype: 'float32' };
}

function uniformWeights({ batch, length }: TokenBatch): Float32Array {
  const count = batch * (length - 1);
  return new Float32Array(count).fill(1 / count);
}

/** Refuses ids outside the vocabulary, for which some engines would read or write memory beyond the embedding. */
export function checkTokens(tokens: Int32Array, count: number, vocabularySize: number): void {
  if (tokens.length !== count) throw new RangeError(`expected ${count} tokens, got ${tokens.length}`);
  for (let i = 0; i < count; i++)
    if (!(tokens[i]! >= 0 && tokens[i]! < vocabularySize))
      throw new RangeError(`token ${i} is ${tokens[i]}, outside the vocabulary of ${vocabularySize}`);
}
