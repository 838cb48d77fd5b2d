import type { RunConfig } from '../core/config/schema.ts';
import type { Corpus } from '../core/corpus/corpus.ts';
import { throwIfStopped } from '../core/errors.ts';
import type { Arm, StagePlan } from '../core/formats.ts';
import { armLayout } from '../core/layout.ts';
import { mapAhead } from '../core/parallel.ts';
import { decayLearningRate, trunkLearningRate } from '../core/schedule.ts';
import type { LanguageModel } from '../engine/decoder/language-model.ts';
import { type Checkpoint, saveCheckpoint } from '../engine/files/checkpoint.ts';
import type { Job } from './job.ts';
import { openTrainer } from './model.ts';
import type { PartialCheckpoints } from './partial-checkpoints.ts';
import { openTrainingRows, stepsFrom } from './pretrain/training-rows.ts';
import { loadRunCheckpoint } from './run-checkpoint.ts';

/** The checkpoint that the branch begins at, and where the branch saves itself. */
export interface DecayBranch {
  model: LanguageModel;
  corpus: Corpus;
  /** The plan of the stage whose checkpoint the branch begins at. */
  plan: StagePlan;
  arm: Arm;
  /** Where a long branch saves itself; the caller drops these checkpoints once it has used the end. */
  partial: PartialCheckpoints;
}

/**
 * The checkpoint at the end of a decay branch: the learning rate is halved `decayHalvings` times over `decaySteps`. The
 * branch trains on the last batches of its stage, so it takes nothing from a later stage. If stopped anywhere, it
 * resumes to the same bytes.
 *
 * @param onStep called with the number of steps done; not called again once the job has been told to stop.
 */
export async function decayBranchEnd(
  job: Job,
  { model, corpus, plan, arm, partial }: DecayBranch,
  onStep: (done: number) => void,
): Promise<Checkpoint> {
  const { config } = job.run.record;
  const { decaySteps, batchRows } = config.pretrain;
  const { sequenceLength: length, tokenizer } = corpus.index;
  const trunkStep = plan.firstStep + plan.steps;
  const { store } = job.run;
  const saved = await partial.newest();
  const checkpoint = await loadRunCheckpoint(job.run, corpus.index, saved ?? armLayout(plan.stage, arm).checkpoint);
  const { optimizer } = checkpoint;
  const batch = await openTrainingRows(job, corpus, plan, arm);
  const steps = Math.min(decaySteps, plan.steps);
  const inBranch = (t: number) => batch(plan.steps - steps + (t % steps));
  const rate = branchRate(config.pretrain, trunkStep);
  const trainer = await openTrainer(config, corpus.index, checkpoint, model);
  const state = () => ({ step: optimizer.step, tokens: optimizer.step * batchRows * length });
  let kept = saved !== undefined;
  try {
    for await (const tokens of mapAhead(stepsFrom(optimizer.step - trunkStep, decaySteps), 2, inBranch)) {
      await trainer.step(tokens, length, rate(optimizer.step - trunkStep + 1), job.signal);
      const done = optimizer.step - trunkStep;
      // If the branch saved itself on the way, its end is saved too, since the work that follows may be interrupted.
      if (job.signal.aborted || (done === decaySteps ? kept : partial.isDue(done))) {
        trainer.collect();
        const parts = { ...checkpoint, endOfText: tokenizer.endOfText, state: state() };
        await partial.save(optimizer.step, (key) => saveCheckpoint(store, key, parts));
        kept = true;
      }
      throwIfStopped(
        job.signal,
        `The decay branch of stage ${plan.stage} stopped after step ${done} of ${decaySteps}; it resumes there.`,
      );
      onStep(done);
    }
    trainer.collect();
  } finally {
    await trainer.close();
  }
  return { ...checkpoint, state: state() };
}

/**
 * The branch's learning rate by step, from 1. If the trunk is still warming up, the decay starts at its current rate.
 */
export function branchRate(pretrain: RunConfig['pretrain'], trunkStep: number): (t: number) => number {
  const warm = trunkLearningRate(pretrain, trunkStep) / pretrain.learningRate;
  return (t) => warm * decayLearningRate(pretrain, t);
}
