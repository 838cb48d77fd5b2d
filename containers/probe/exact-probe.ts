import type { RunConfig } from '../../core/config/schema.ts';
import { RunError } from '../../core/errors.ts';
import { clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import type { PassageSet } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { Influence, InfluenceProbe } from './influence-probe.ts';

/**
 * The paper's oracle (arXiv 2406.06046, section 3): one AdamW step on the single document, with the checkpoint's
 * moments, step count and clip, then the reference loss. The step goes into scratch weights; the checkpoint is never
 * written.
 */
export class ExactProbe implements InfluenceProbe {
  readonly rowsAtOnce = 1;
  /** Reference loss of the checkpoint itself. */
  readonly baseline: number;
  private readonly model: LanguageModel;
  private readonly checkpoint: Checkpoint;
  private readonly reference: PassageSet;
  private readonly clipNorm: number;
  private readonly learningRate: number;
  /** Holds the document's gradient, and then the weights after the step. */
  private readonly scratch: ParameterSet;

  static async create(
    model: LanguageModel,
    checkpoint: Checkpoint,
    reference: PassageSet,
    step: Pick<RunConfig['pretrain'], 'clipNorm' | 'learningRate'>,
  ): Promise<ExactProbe> {
    return new ExactProbe(model, checkpoint, reference, step, await reference.loss(checkpoint.parameters));
  }

  private constructor(
    model: LanguageModel,
    checkpoint: Checkpoint,
    reference: PassageSet,
    { clipNorm, learningRate }: Pick<RunConfig['pretrain'], 'clipNorm' | 'learningRate'>,
    baseline: number,
  ) {
    this.model = model;
    this.checkpoint = checkpoint;
    this.reference = reference;
    this.clipNorm = clipNorm;
    this.learningRate = learningRate;
    this.baseline = baseline;
    this.scratch = checkpoint.parameters.sibling();
  }

  async influences(tokens: Int32Array, length: number): Promise<Influence[]> {
    const found: Influence[] = [];
    for (let at = 0; at < tokens.length; at += length)
      found.push(await this.influence(tokens.subarray(at, at + length)));
    return found;
  }

  async influence(tokens: Int32Array): Promise<Influence> {
    const { parameters, optimizer } = this.checkpoint;
    await this.model.lossAndGradient(parameters, { batch: 1, length: tokens.length, tokens }, this.scratch);
    const { flat } = this.scratch;
    const clip = clipCoefficient(globalNorm(flat), this.clipNorm);
    optimizer.trial(parameters.flat, flat, this.learningRate, flat, clip);
    const loss = await this.reference.loss(this.scratch);
    if (!Number.isFinite(loss))
      throw new RunError(`probe: the reference loss is ${loss} after one step; lower pretrain.learningRate.`);
    return { loss, baseline: this.baseline, influence: loss - this.baseline };
  }
}
