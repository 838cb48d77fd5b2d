import type { RunConfig } from '../../core/config/schema.ts';
import { RunError } from '../../core/errors.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import type { Checkpoint } from '../../engine/checkpoint.ts';
import type { LanguageModel } from '../../engine/language-model.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { PassageSet } from '../../engine/passage-set.ts';
import type { Influence, InfluenceProbe } from './influence-probe.ts';

/**
 * The paper's oracle (arXiv 2406.06046, section 3): one AdamW step on the single document, with the checkpoint's
 * moments, step count, clip and learning rate, then the reference loss. The step goes into scratch weights; the
 * checkpoint is never written.
 */
export class ExactProbe implements InfluenceProbe {
  /** Reference loss of the checkpoint itself. */
  readonly baseline: number;
  private readonly model: LanguageModel;
  private readonly checkpoint: Checkpoint;
  private readonly reference: PassageSet;
  private readonly config: RunConfig['pretrain'];
  private readonly gradient: ParameterSet;
  private readonly trial: ParameterSet;

  static async create(
    model: LanguageModel,
    checkpoint: Checkpoint,
    reference: PassageSet,
    config: RunConfig['pretrain'],
  ): Promise<ExactProbe> {
    return new ExactProbe(model, checkpoint, reference, config, await reference.loss(checkpoint.parameters));
  }

  private constructor(
    model: LanguageModel,
    checkpoint: Checkpoint,
    reference: PassageSet,
    config: RunConfig['pretrain'],
    baseline: number,
  ) {
    this.model = model;
    this.checkpoint = checkpoint;
    this.reference = reference;
    this.config = config;
    this.baseline = baseline;
    this.gradient = checkpoint.parameters.sibling();
    this.trial = checkpoint.parameters.sibling();
  }

  async influence(tokens: Int32Array): Promise<Influence> {
    const { parameters, optimizer } = this.checkpoint;
    const targets = tokens.length - 1;
    const batch = { batch: 1, length: tokens.length, tokens, weights: new Float32Array(targets).fill(1 / targets) };
    await this.model.lossAndGradient(parameters, batch, this.gradient);
    const clip = clipCoefficient(globalNorm(this.gradient.flat), this.config.clipNorm);
    const learningRate = trunkLearningRate(this.config, optimizer.step);
    optimizer.trial(parameters.flat, this.gradient.flat, learningRate, this.trial.flat, clip);
    const loss = await this.reference.loss(this.trial);
    if (!Number.isFinite(loss))
      throw new RunError(`probe: the reference loss is ${loss} after one step; lower pretrain.learningRate.`);
    return { loss, baseline: this.baseline, influence: loss - this.baseline };
  }
}
