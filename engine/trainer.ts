import type { RunConfig } from '../core/config/schema.ts';
import { RunError } from '../core/errors.ts';
import { type AdamW, accumulate, clipCoefficient, globalNorm } from './adamw.ts';
import type { LanguageModel } from './language-model.ts';
import type { ParameterSet } from './parameters.ts';
import { allocateBeside } from './wasm/parameter-memory.ts';

/** What one optimizer step did. */
export interface StepResult {
  loss: number;
  /** Global norm of the gradient before clipping. */
  gradientNorm: number;
}

/**
 * One optimizer step of pretraining at a time: micro-batches, clip, AdamW. Used for the trunk and the decay branch.
 */
export class Trainer {
  readonly parameters: ParameterSet;
  readonly optimizer: AdamW;
  private readonly model: LanguageModel;
  private readonly config: RunConfig['pretrain'];
  private readonly gradient: ParameterSet;
  /** Present only where a step has more than one micro-batch. */
  private readonly sum: Float32Array | undefined;

  constructor(model: LanguageModel, config: RunConfig['pretrain'], parameters: ParameterSet, optimizer: AdamW) {
    this.model = model;
    this.config = config;
    this.parameters = parameters;
    this.optimizer = optimizer;
    this.gradient = parameters.sibling();
    if (config.batchRows > config.microBatchRows) this.sum = allocateBeside(parameters.flat);
  }

  /**
   * @param tokens [batchRows x length], row-major.
   * @throws RunError when the loss or the gradient is not finite; parameters and moments are then untouched.
   */
  async step(tokens: Int32Array, length: number, learningRate: number): Promise<StepResult> {
    const { batchRows, microBatchRows, clipNorm } = this.config;
    const targets = length - 1;
    const weights = new Float32Array(microBatchRows * targets).fill(1 / (batchRows * targets));
    let loss = 0;
    for (let row = 0; row < batchRows; row += microBatchRows) {
      const part = tokens.subarray(row * length, (row + microBatchRows) * length);
      const batch = { batch: microBatchRows, length, tokens: part, weights };
      loss += await this.model.lossAndGradient(this.parameters, batch, this.gradient);
      if (row === 0) this.sum?.set(this.gradient.flat);
      else accumulate(this.sum!, this.gradient.flat);
    }
    const gradient = this.sum ?? this.gradient.flat;
    const gradientNorm = globalNorm(gradient);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
      throw new RunError(
        `step ${this.optimizer.step + 1}: the loss is ${loss} and the gradient's norm ${gradientNorm}. ` +
          'Lower pretrain.learningRate or raise pretrain.warmupSteps, and start again with another --run-id.',
      );
    const clip = clipCoefficient(gradientNorm, clipNorm);
    this.optimizer.apply(this.parameters.flat, gradient, learningRate, clip);
    return { loss, gradientNorm };
  }
}
