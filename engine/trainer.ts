import type { RunConfig } from '../core/config/schema.ts';
import { RunError } from '../core/errors.ts';
import { type AdamW, accumulate, clipCoefficient, globalNorm } from './adamw.ts';
import type { LanguageModel } from './decoder/language-model.ts';
import type { ParameterSet } from './parameters.ts';
import { allocateBeside } from './wasm/parameter-memory.ts';

/** What one optimizer step did. */
export interface StepResult {
  loss: number;
  /** Global norm of the gradient before clipping. */
  gradientNorm: number;
}

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
  /** Brings the caller's parameters and optimizer up to date with the steps. */
  collect(): void;
  close(): Promise<void>;
}

/** Training steps on one runtime, in place: parameters and optimizer are always up to date. */
export class Trainer implements TrainingSteps {
  readonly parameters: ParameterSet;
  readonly optimizer: AdamW;
  private readonly model: LanguageModel;
  private readonly config: RunConfig['pretrain'];
  private readonly gradient: ParameterSet;
  /** Micro-batches in one run: all of them on a GPU, so that the parameters are copied there only once a step. */
  private readonly microBatches: number;
  /** Present only where a step has more than one run. */
  private readonly sum: Float32Array | undefined;

  constructor(model: LanguageModel, config: RunConfig['pretrain'], parameters: ParameterSet, optimizer: AdamW) {
    this.model = model;
    this.config = config;
    this.parameters = parameters;
    this.optimizer = optimizer;
    this.gradient = parameters.sibling();
    this.microBatches = model.onGpu ? config.batchRows / config.microBatchRows : 1;
    if (config.batchRows > this.microBatches * config.microBatchRows) this.sum = allocateBeside(parameters.flat);
  }

  async step(tokens: Int32Array, length: number, learningRate: number): Promise<StepResult> {
    const { microBatches } = this;
    const { batchRows, microBatchRows, clipNorm } = this.config;
    const rows = microBatches * microBatchRows;
    const targets = length - 1;
    const weights = new Float32Array(rows * targets).fill(1 / (batchRows * targets));
    let loss = 0;
    for (let row = 0; row < batchRows; row += rows) {
      const part = tokens.subarray(row * length, (row + rows) * length);
      const batch = { batch: rows, length, tokens: part, weights, microBatches };
      loss += await this.model.lossAndGradient(this.parameters, batch, this.gradient);
      if (row === 0) this.sum?.set(this.gradient.flat);
      else accumulate(this.sum!, this.gradient.flat);
    }
    const gradient = this.sum ?? this.gradient.flat;
    const gradientNorm = globalNorm(gradient);
    checkFinite(this.optimizer.step + 1, loss, gradientNorm);
    const clip = clipCoefficient(gradientNorm, clipNorm);
    this.optimizer.apply(this.parameters.flat, gradient, learningRate, clip);
    return { loss, gradientNorm };
  }

  collect(): void {}

  async close(): Promise<void> {}
}

/** @throws RunError that says what to do, if the loss or the gradient's norm is not finite. */
export function checkFinite(step: number, loss: number, gradientNorm: number): void {
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    throw new RunError(
      `step ${step}: the loss is ${loss} and the gradient's norm ${gradientNorm}. ` +
        'Lower pretrain.learningRate or raise pretrain.warmupSteps, and start again with another --run-id.',
    );
}
