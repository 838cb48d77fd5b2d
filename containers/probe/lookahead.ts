import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { ConfigError, RunError } from '../../core/errors.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { accumulate, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import type { Checkpoint } from '../../engine/checkpoint.ts';
import type { LanguageModel, TokenBatch } from '../../engine/language-model.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { PassageSet, paddedBatch } from '../../engine/passage-set.ts';
import type { ProbeCopies } from './difference-probe.ts';

/** A share of the reference passages guards against learning the others by heart. */
const GUARD_SHARE = 0.25;
/** The guard is measured this often; it costs a forward pass over its passages. */
const GUARD_EVERY = 4;

export interface LookaheadOptions {
  config: RunConfig;
  learningRate: number;
  /** The reference set. */
  passages: readonly Passage[];
  /** Tokens of rows that are not probed, [rows x length], for the control copy; used again where its steps need more. */
  randomRows: Int32Array;
  length: number;
  /** Called after each step with the steps done by both copies. */
  onStep?: (done: number) => void;
}

export interface LookaheadCopies extends ProbeCopies {
  /** That both copies have made. */
  steps: number;
  /** That were made on the references until the guard's loss rose. */
  tried: number;
  /** Rows that the control copy has learned, each counted once. */
  controlRows: number;
}

/**
 * Influence from two forward passes: `L(x | theta_R) - L(x | theta_0)`, where theta_R is the checkpoint continued for
 * some steps on the reference set and theta_0 the same on random text. Documents that become easier by learning the
 * references are those that help with them. This is the conditional-loss difference of CoLoR-Filter (Brandfonbrener et
 * al. 2024, arXiv 2406.10670), taken anew at each stage from the current checkpoint.
 *
 * Both copies start from the checkpoint's weights, moments and step count; the checkpoint itself is never written.
 *
 */
export async function lookaheadCopies(
  model: LanguageModel,
  checkpoint: Checkpoint,
  { config, learningRate, passages, randomRows, length, onStep = () => {} }: LookaheadOptions,
): Promise<LookaheadCopies> {
  const guards = Math.max(1, Math.round(GUARD_SHARE * passages.length));
  if (guards >= passages.length)
    throw new ConfigError(
      `reference.passages: ${passages.length} are too few for probe.method "lookahead", which keeps a quarter of them aside.`,
    );
  // The same at every stage. A file may have its passages in an order, such as one source after the other.
  const dealt = permutation(passages.length, new CounterRandom(config.seed, STREAM.lookaheadGuard));
  const guard = new PassageSet(
    model,
    Array.from(dealt.subarray(0, guards), (i) => passages[i]!),
  );
  const learned = Array.from(dealt.subarray(guards), (i) => passages[i]!);
  const longest = Math.max(...learned.map(({ tokens }) => tokens.length));
  const { batchRows, steps } = config.probe.lookahead;
  const order = permutation(learned.length, new CounterRandom(config.seed, STREAM.lookahead, checkpoint.state.step));
  const rows = randomRows.length / length;
  const micro = Math.min(config.pretrain.microBatchRows, batchRows);

  const passageBatches = (step: number) =>
    microBatches(step, batchRows, micro, (numbers) => {
      const chosen = numbers.map((n) => learned[order[n % order.length]!]!);
      return paddedBatch(chosen, batchRows, longest);
    });
  const rowBatches = (step: number) =>
    microBatches(step, batchRows, micro, (numbers) => {
      const tokens = new Int32Array(numbers.length * length);
      for (const [i, n] of numbers.entries())
        tokens.set(randomRows.subarray((n % rows) * length, ((n % rows) + 1) * length), i * length);
      const weight = 1 / (batchRows * (length - 1));
      return {
        batch: numbers.length,
        length,
        tokens,
        weights: new Float32Array(numbers.length * (length - 1)).fill(weight),
      };
    });

  const towards = await continued(model, checkpoint, passageBatches, { steps, learningRate, config, guard, onStep });
  const control = await continued(model, checkpoint, rowBatches, {
    steps: towards.steps,
    learningRate,
    config,
    onStep: (done) => onStep(towards.tried + done),
  });
  return {
    first: towards.parameters,
    second: control.parameters,
    scale: 1,
    steps: towards.steps,
    tried: towards.tried,
    controlRows: Math.min(rows, towards.steps * batchRows),
  };
}

/** The examples of a step, numbered on from those of the step before, in micro-batches. */
function microBatches(
  step: number,
  batchRows: number,
  micro: number,
  batchOf: (numbers: number[]) => TokenBatch,
): TokenBatch[] {
  const numbers = Array.from({ length: batchRows }, (_, i) => step * batchRows + i);
  const batches: TokenBatch[] = [];
  for (let i = 0; i < batchRows; i += micro) batches.push(batchOf(numbers.slice(i, i + micro)));
  return batches;
}

interface Continuation {
  steps: number;
  learningRate: number;
  config: RunConfig;
  /** With it, the copy at its lowest loss is kept, and the steps end when it rises. */
  guard?: PassageSet;
  onStep(done: number): void;
}

/** A copy of the checkpoint after some steps. */
async function continued(
  model: LanguageModel,
  checkpoint: Checkpoint,
  batchesOf: (step: number) => TokenBatch[],
  { steps, learningRate, config, guard, onStep }: Continuation,
): Promise<{ parameters: ParameterSet; steps: number; tried: number }> {
  const parameters = checkpoint.parameters.clone();
  const optimizer = checkpoint.optimizer.clone(parameters.flat);
  const gradient = parameters.sibling();
  const part = parameters.sibling();
  const start = guard ? await guard.loss(parameters) : Number.POSITIVE_INFINITY;
  let best = { parameters: parameters.clone(), steps: 0, loss: start };
  for (let step = 0; step < steps; step++) {
    const [first, ...others] = batchesOf(step);
    await model.lossAndGradient(parameters, first!, gradient);
    for (const batch of others) {
      await model.lossAndGradient(parameters, batch, part);
      accumulate(gradient.flat, part.flat);
    }
    const clip = clipCoefficient(globalNorm(gradient.flat), config.pretrain.clipNorm);
    optimizer.apply(parameters.flat, gradient.flat, learningRate, clip);
    onStep(step + 1);
    if (!guard || ((step + 1) % GUARD_EVERY !== 0 && step + 1 < steps)) continue;
    const loss = await guard.loss(parameters);
    const better = loss < best.loss; // and not where it is NaN
    if (!better && best.steps === 0)
      throw new RunError(
        `${step + 1} steps on the reference passages took the loss of those that are kept aside from ${start.toFixed(3)} to ` +
          `${loss.toFixed(3)}, so lookahead would label by a worse model. Lower probe.learningRateScale (now ` +
          `${config.probe.learningRateScale}), raise reference.passages, or choose another probe.method.`,
      );
    if (!better) return { ...best, tried: step + 1 }; // the references are being learned by heart
    best = { parameters: parameters.clone(), steps: step + 1, loss };
  }
  return guard ? { ...best, tried: steps } : { parameters, steps, tried: steps };
}
