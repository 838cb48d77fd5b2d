import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AdamW, accumulate, clipCoefficient, globalNorm } from './adamw.ts';
import type { LanguageModel, TokenBatch } from './decoder/language-model.ts';
import type { ParameterSet } from './parameters.ts';

/** What one optimizer step did. */
export interface StepResult {
  loss: number;
  /** Global norm of the gradient before clipping. */
  gradientNorm: number;
}

export interface StepOptions {
  /** Called before anything is changed; what it throws prevents the step. */
  check?(result: StepResult): void;
  /** Once it is aborted, the step is given up. */
  signal?: AbortSignal | undefined;
}

/** Steps of AdamW on clipped gradients, in place: parameters and optimizer are always up to date. */
export class OptimizerSteps {
  readonly parameters: ParameterSet;
  readonly optimizer: AdamW;
  private readonly model: LanguageModel;
  private readonly clipNorm: number;
  private readonly gradient: ParameterSet;
  /** The gradient of a batch that is not the first; made when there is one. */
  private part: ParameterSet | undefined;

  constructor(model: LanguageModel, clipNorm: number, parameters: ParameterSet, optimizer: AdamW) {
    this.model = model;
    this.clipNorm = clipNorm;
    this.parameters = parameters;
    this.optimizer = optimizer;
    this.gradient = parameters.sibling();
  }

  /**
   * One step on the sum of the batches' losses.
   *
   * @returns undefined if the step was given up; nothing has changed then.
   */
  async step(
    batches: Iterable<TokenBatch>,
    learningRate: number,
    { check, signal }: StepOptions = {},
  ): Promise<StepResult | undefined> {
    const { parameters, gradient } = this;
    let loss = 0;
    let isFirst = true;
    for (const batch of batches) {
      await nextTurn(); // a batch blocks this thread, so that it learns of a signal only between two
      if (signal?.aborted) return undefined;
      if (!isFirst) this.part ??= parameters.sibling();
      const into = isFirst ? gradient : this.part!;
      loss += await this.model.lossAndGradient(parameters, batch, into);
      if (!isFirst) accumulate(gradient.flat, into.flat);
      isFirst = false;
    }
    const result = { loss, gradientNorm: globalNorm(gradient.flat) };
    check?.(result);
    const clip = clipCoefficient(result.gradientNorm, this.clipNorm);
    this.optimizer.apply(parameters.flat, gradient.flat, learningRate, clip);
    return result;
  }
}
