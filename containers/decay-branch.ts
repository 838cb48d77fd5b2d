import type { RunConfig } from '../core/config/schema.ts';
import type { Corpus } from '../core/corpus/corpus.ts';
import { InterruptedError } from '../core/errors.ts';
import type { Arm, StagePlan } from '../core/formats.ts';
import { armLayout } from '../core/layout.ts';
import { mapAhead } from '../core/parallel.ts';
import { decayLearningRate, trunkLearningRate } from '../core/schedule.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from '../engine/files/checkpoint.ts';
import type { LanguageModel } from '../engine/gpt-neox/language-model.ts';
import type { Job } from './job.ts';
import { openTrainer } from './model.ts';
import type { PartialCheckpoints } from './partial-checkpoints.ts';
import { openTrainingRows, stepsFrom } from './pretrain/training-rows.ts';

/** Which checkpoint's branch, and where it is resumed from. */
export interface DecayBranch {
  model: LanguageModel;
  corpus: Corpus;
  /** Of the stage whose checkpoint it begins at. */
  plan: StagePlan;
  arm: Arm;
  /** Where a long branch saves itself; the caller drops that once it has used the end. */
  partial: PartialCheckpoints;
}

/**
 * A checkpoint at the end of its decay branch: the learning rate is halved `decayHalvings` times over `decaySteps`. The
 * branch runs over the batches that the stage trained on last, so it takes nothing from a later stage. Stopped anywhere,
 * it resumes to the same bytes.
 *
 * @param onStep called with the steps done; where the job was told to stop it is not called again.
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
  const checkpoint = await loadCheckpoint(store, saved ?? armLayout(plan.stage, arm).checkpoint);
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
      await trainer.step(tokens, length, rate(optimizer.step - trunkStep + 1));
      const done = optimizer.step - trunkStep;
      // The end of a branch that took long is kept too, for what is done with it may be interrupted.
      if (job.signal.aborted || (done === decaySteps ? kept : partial.isDue(done))) {
        trainer.collect();
        const parts = { ...checkpoint, endOfText: tokenizer.endOfText, state: state() };
        await partial.save(optimizer.step, (key) => saveCheckpoint(store, key, parts));
        kept = true;
      }
      if (job.signal.aborted)
        throw new InterruptedError(
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

/** The branch's learning rate by its step, from 1; a trunk that is still warming up decays from where it is. */
export function branchRate(pretrain: RunConfig['pretrain'], trunkStep: number): (t: number) => number {
  const warm = trunkLearningRate(pretrain, trunkStep) / pretrain.learningRate;
  return (t) => warm * decayLearningRate(pretrain, t);
}
