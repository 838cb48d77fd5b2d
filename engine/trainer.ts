import type { RunConfig } from '../core/config/schema.ts';
import { decoderForwardFlops } from '../core/cost/flops.ts';
import { RunError } from '../core/errors.ts';
import type { AdamW } from './adamw.ts';
import type { DecoderShape } from './decoder/decoder.ts';
import type { LanguageModel, TokenBatch } from './decoder/language-model.ts';
import { OptimizerSteps, type StepResult } from './optimizer-steps.ts';
import type { ParameterSet } from './parameters.ts';

/**
 * Pretraining, one optimizer step at a time: micro-batches, clipping, AdamW. The trunk and the decay branch both use
 * it.
 */
export interface TrainingSteps {
  /**
   * @param tokens [batchRows x length], row-major.
   * @throws RunError when the loss or the gradient is not finite; parameters and moments are then untouched.
   */
  step(tokens: Int32Array, length: number, learningRate: number): Promise<StepResult>;
  /**
   * @param signal once it is aborted, the step is given up: undefined, with parameters and moments untouched. No other
   *   step can follow.
   */
  step(tokens: Int32Array, length: number, rate: number, signal: AbortSignal): Promise<StepResult | undefined>;
  /** Brings the caller's parameters and optimizer up to date with the steps. */
  collect(): void;
  close(): Promise<void>;
}

/**
 * The most operations of one run. A run cannot be given up, and a job that is told to stop has two minutes to save itself:
 * this takes an L4 some 40 seconds in float32.
 */
const RUN_FLOPS = 4e14;

/** Training steps on one runtime, in place: parameters and optimizer are always up to date. */
export class Trainer implements TrainingSteps {
  private readonly model: LanguageModel;
  private readonly config: RunConfig['pretrain'];
  private readonly steps: OptimizerSteps;

  constructor(model: LanguageModel, config: RunConfig['pretrain'], parameters: ParameterSet, optimizer: AdamW) {
    this.model = model;
    this.config = config;
    this.steps = new OptimizerSteps(model, config.clipNorm, parameters, optimizer);
  }

  async step(tokens: Int32Array, length: number, learningRate: number): Promise<StepResult>;
  async step(tokens: Int32Array, length: number, rate: number, signal?: AbortSignal): Promise<StepResult | undefined>;
  async step(tokens: Int32Array, length: number, rate: number, signal?: AbortSignal): Promise<StepResult | undefined> {
    const next = this.steps.optimizer.step + 1;
    const check = ({ loss, gradientNorm }: StepResult) => checkFinite(next, loss, gradientNorm);
    return this.steps.step(this.runs(tokens, length), rate, { check, signal });
  }

  /** A step's rows, as many as one run takes. */
  private *runs(tokens: Int32Array, length: number): Generator<TokenBatch> {
    const { batchRows, microBatchRows } = this.config;
    const microBatches = this.model.onGpu ? microBatchesAtOnce(this.model.shape, this.config, length) : 1;
    const rows = microBatches * microBatchRows;
    const targets = length - 1;
    const weights = new Float32Array(rows * targets).fill(1 / (batchRows * targets));
    for (let row = 0; row < batchRows; row += rows) {
      const part = tokens.subarray(row * length, (row + rows) * length);
      yield { batch: rows, length, tokens: part, weights, microBatches };
    }
  }

  collect(): void {}

  async close(): Promise<void> {}
}

/**
 * Micro-batches in one run on a GPU. For a short step these are all, so that the parameters are copied there only once; else
 * as many as {@link RUN_FLOPS} allows of those that divide the step into equal runs.
 */
export function microBatchesAtOnce(
  shape: DecoderShape,
  { batchRows, microBatchRows }: Pick<RunConfig['pretrain'], 'batchRows' | 'microBatchRows'>,
  length: number,
): number {
  const all = batchRows / microBatchRows;
  const most = RUN_FLOPS / (3 * microBatchRows * length * decoderForwardFlops(shape, length));
  let runs = Math.min(all, Math.ceil(all / most));
  while (all % runs !== 0) runs++;
  return all / runs;
}

/** @throws RunError that says what to do, if the loss or the gradient's norm is not finite. */
export function checkFinite(step: number, loss: number, gradientNorm: number): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  const found = `step ${step}: the loss is ${loss} and the gradient's norm ${gradientNorm}.`;
  throw new RunError(
    step === 1
      ? `${found} Nothing has been trained yet: the weights that it begins with are damaged, or too large (model.initializerStd).`
      : `${found} Lower pretrain.learningRate or raise pretrain.warmupSteps, and start again with another --run-id.`,
  );
}
