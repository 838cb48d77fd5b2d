import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { RunError } from '../../core/errors.ts';
import { GUARD_EVERY, guardPassages, guardReadings, requireGuard } from '../../core/plan/lookahead.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import type { LanguageModel, TokenBatch } from '../../engine/decoder/language-model.ts';
import { PassageSet, paddedBatch } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import { OptimizerSteps } from '../../engine/optimizer-steps.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { ProbeCopies } from './difference-probe.ts';

export interface LookaheadOptions {
  config: RunConfig;
  learningRate: number;
  /** The reference set. */
  passages: readonly Passage[];
  /** Tokens of rows that are not probed, [rows x length], for the control copy; reused if its steps need more. */
  randomRows: Int32Array;
  length: number;
  /** Called after each step with the number of steps done by both copies together. */
  onStep?: (done: number) => void;
}

export interface LookaheadCopies extends ProbeCopies {
  /** Steps that each copy has made. */
  steps: number;
  /** Steps that were made on the references until the guard's loss rose. */
  tried: number;
  /** Rows that the control copy has learned, each counted once. */
  controlRows: number;
  /** Loss of the passages kept aside, at the checkpoint and after the steps. If it rose, the steps were no help. */
  guard: { before: number; after: number };
  /** Passages read to measure that loss, each counted as often as it was read. */
  guardReads: number;
}

/**
 * Influence from two forward passes: `L(x | theta_R) - L(x | theta_0)`, where theta_R is the checkpoint continued for
 * some steps on the reference set, and theta_0 the checkpoint continued for as many on random text. Documents that
 * become easier by learning the references are those that help with them. This is the conditional-loss difference of
 * CoLoR-Filter (Brandfonbrener et al. 2024, arXiv 2406.10670), computed anew at each stage from the current checkpoint.
 *
 * Both copies start from the checkpoint's weights, moments and step count; the checkpoint itself is never written.
 *
 * @throws ConfigError when there are too few passages, RunError when a copy's loss is no longer a number.
 */
export async function lookaheadCopies(
  model: LanguageModel,
  checkpoint: Checkpoint,
  { config, learningRate, passages, randomRows, length, onStep = () => {} }: LookaheadOptions,
): Promise<LookaheadCopies> {
  requireGuard(passages.length);
  const guards = guardPassages(passages.length);
  // Shuffled, since a file may have its passages in some order, such as by source; the split is the same at every
  // stage.
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

  /** A copy of the checkpoint that continues training from there. */
  const copy = () => {
    const parameters = checkpoint.parameters.clone();
    const optimizer = checkpoint.optimizer.clone(parameters.flat);
    return new OptimizerSteps(model, config.pretrain.clipNorm, parameters, optimizer);
  };
  const diverged = (what: string) =>
    new RunError(
      `${what}, so there is no lookahead to label by. In another run, lower probe.learningRateScale (now ` +
        `${config.probe.learningRateScale}), raise reference.passages, or choose another probe.method.`,
    );
  const before = await guard.loss(checkpoint.parameters);
  const towards = await learnReferences(copy(), guard, before, {
    batchesOf: passageBatches,
    steps,
    learningRate,
    onStep,
  });
  if (!Number.isFinite(towards.loss))
    throw diverged(
      `the loss of the reference passages that are kept aside is ${towards.loss} after ${towards.steps} steps`,
    );
  const control = copy();
  for (let step = 0; step < towards.steps; step++) {
    const { loss } = (await control.step(rowBatches(step), learningRate))!;
    if (!Number.isFinite(loss)) throw diverged(`the loss of lookahead's random rows is ${loss} after ${step} steps`);
    onStep(towards.tried + step + 1);
  }
  return {
    first: towards.parameters,
    second: control.parameters,
    scale: 1,
    steps: towards.steps,
    tried: towards.tried,
    controlRows: Math.min(rows, towards.steps * batchRows),
    guard: { before, after: towards.loss },
    guardReads: guards * guardReadings(towards.tried),
  };
}

/** The examples of a step in micro-batches; numbering continues from the step before. */
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

/**
 * Steps on the references until the guard's loss rises.
 *
 * @param before the guard's loss at the checkpoint.
 * @returns the copy at its lowest guard loss. If no measured loss is lower than the checkpoint's, it is the copy at the
 *   first measurement; code that uses its labels must then say so.
 */
async function learnReferences(
  copy: OptimizerSteps,
  guard: PassageSet,
  before: number,
  {
    batchesOf,
    steps,
    learningRate,
    onStep,
  }: { batchesOf: (step: number) => TokenBatch[]; steps: number; learningRate: number; onStep(done: number): void },
): Promise<{ parameters: ParameterSet; steps: number; loss: number; tried: number }> {
  let best: { parameters: ParameterSet; steps: number; loss: number } | undefined;
  for (let done = 1; done <= steps; done++) {
    await copy.step(batchesOf(done - 1), learningRate);
    onStep(done);
    if (done % GUARD_EVERY !== 0 && done < steps) continue;
    const loss = await guard.loss(copy.parameters);
    const better = loss < (best?.loss ?? before); // false if the loss is NaN
    if (better || !best) best = { parameters: copy.parameters.clone(), steps: done, loss };
    if (!better) return { ...best, tried: done }; // the references are being memorised
  }
  return { ...best!, tried: steps };
}
