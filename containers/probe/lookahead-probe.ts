import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { ConfigError } from '../../core/errors.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import type { Checkpoint } from '../../engine/checkpoint.ts';
import type { LanguageModel, TokenBatch } from '../../engine/language-model.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { PassageSet, paddedBatch, rowLosses } from '../../engine/passage-set.ts';
import type { Influence, InfluenceProbe } from './influence-probe.ts';

/** A share of the reference passages guards against learning the others by heart. */
const GUARD_SHARE = 0.25;
/** The guard is measured this often; it costs a forward pass over its passages. */
const GUARD_EVERY = 4;

/**
 * Influence from two forward passes: `L(x | theta_R) - L(x | theta_0)`, where theta_R is the checkpoint continued for
 * some steps on the reference set and theta_0 the same on random text. Documents that become easier by learning the
 * references are those that help with them. This is the conditional-loss difference of CoLoR-Filter (Brandfonbrener et
 * al. 2024, arXiv 2406.10670), taken anew at each stage from the current checkpoint.
 *
 * Both copies start from the checkpoint's weights, moments and step count; the checkpoint itself is never written.
 */
export class LookaheadProbe implements InfluenceProbe {
  private readonly model: LanguageModel;
  private readonly towards: ParameterSet;
  private readonly control: ParameterSet;

  /**
   * @param passages the reference set.
   * @param randomRows tokens of rows that are not probed, [rows x length], for the control copy.
   */
  static async create(
    model: LanguageModel,
    checkpoint: Checkpoint,
    passages: readonly Passage[],
    randomRows: Int32Array,
    length: number,
    config: RunConfig,
  ): Promise<LookaheadProbe> {
    const guards = Math.max(1, Math.round(GUARD_SHARE * passages.length));
    if (guards >= passages.length)
      throw new ConfigError(
        `reference.passages: ${passages.length} are too few for probe.method "lookahead", which keeps a quarter of them aside.`,
      );
    const guard = new PassageSet(model, passages.slice(0, guards));
    const learned = passages.slice(guards);
    const longest = Math.max(...learned.map(({ tokens }) => tokens.length));
    const { batchRows } = config.pretrain;
    const order = permutation(learned.length, new CounterRandom(config.seed, STREAM.lookahead, checkpoint.state.step));
    const passageBatch = (step: number) => {
      const chosen = Array.from(
        { length: batchRows },
        (_, i) => learned[order[(step * batchRows + i) % order.length]!]!,
      );
      return paddedBatch(chosen, chosen.length, longest);
    };
    const rows = randomRows.length / length;
    const rowBatch = (step: number) => {
      const tokens = new Int32Array(batchRows * length);
      for (let i = 0; i < batchRows; i++) {
        const row = (step * batchRows + i) % rows;
        tokens.set(randomRows.subarray(row * length, (row + 1) * length), i * length);
      }
      const weights = new Float32Array(batchRows * (length - 1)).fill(1 / (batchRows * (length - 1)));
      return { batch: batchRows, length, tokens, weights };
    };
    const { steps } = config.probe.lookahead;
    const towards = await continued(model, checkpoint, passageBatch, steps, config, guard);
    const control = await continued(model, checkpoint, rowBatch, towards.steps, config);
    return new LookaheadProbe(model, towards.parameters, control.parameters);
  }

  private constructor(model: LanguageModel, towards: ParameterSet, control: ParameterSet) {
    this.model = model;
    this.towards = towards;
    this.control = control;
  }

  async influence(tokens: Int32Array): Promise<Influence> {
    const loss = (await rowLosses(this.model, this.towards, tokens, tokens.length))[0]!;
    const baseline = (await rowLosses(this.model, this.control, tokens, tokens.length))[0]!;
    return { loss, baseline, influence: loss - baseline };
  }
}

/** A copy of the checkpoint after some steps; with a guard, the copy at the guard's lowest loss. */
async function continued(
  model: LanguageModel,
  checkpoint: Checkpoint,
  batchOf: (step: number) => TokenBatch,
  steps: number,
  config: RunConfig,
  guard?: PassageSet,
): Promise<{ parameters: ParameterSet; steps: number }> {
  const parameters = checkpoint.parameters.clone();
  const optimizer = checkpoint.optimizer.clone(parameters.flat);
  const gradient = parameters.sibling();
  let best = { parameters: parameters.clone(), steps: 0, loss: Number.POSITIVE_INFINITY };
  for (let step = 0; step < steps; step++) {
    await model.lossAndGradient(parameters, batchOf(step), gradient);
    const clip = clipCoefficient(globalNorm(gradient.flat), config.pretrain.clipNorm);
    const rate = trunkLearningRate(config.pretrain, optimizer.step);
    optimizer.apply(parameters.flat, gradient.flat, rate, clip);
    if (!guard || ((step + 1) % GUARD_EVERY !== 0 && step + 1 < steps)) continue;
    const loss = await guard.loss(parameters);
    if (loss >= best.loss) return best; // the references are being learned by heart
    best = { parameters: parameters.clone(), steps: step + 1, loss };
  }
  return guard ? best : { parameters, steps };
}
