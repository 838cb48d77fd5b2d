import type { RunConfig } from '../core/config/schema.ts';
import type { Corpus } from '../core/corpus/corpus.ts';
import { InterruptedError } from '../core/errors.ts';
import type { Arm, StagePlan } from '../core/formats.ts';
import { decayLearningRate, trunkLearningRate } from '../core/schedule.ts';
import type { Checkpoint } from '../engine/checkpoint.ts';
import type { LanguageModel } from '../engine/language-model.ts';
import type { Job } from './job.ts';
import { openTrainer } from './model.ts';
import { openTrainingRows } from './pretrain/training-rows.ts';

/**
 * Trains a checkpoint to the end of its decay branch, in place: the learning rate is halved `decayHalvings` times over
 * `decaySteps`. The branch runs over the batches that the stage trained on last, so it takes nothing from a later stage.
 *
 * @param plan of the stage whose checkpoint it is.
 * @param onStep called with the steps done; where the job was told to stop it is not called again.
 */
export async function trainDecayBranch(
  job: Job,
  { model, corpus, plan, arm }: { model: LanguageModel; corpus: Corpus; plan: StagePlan; arm: Arm },
  { parameters, optimizer }: Checkpoint,
  onStep: (done: number) => void,
): Promise<void> {
  const { config } = job.run.record;
  const { decaySteps } = config.pretrain;
  const batch = await openTrainingRows(job, corpus, plan, arm);
  const steps = Math.min(decaySteps, plan.steps);
  const rate = branchRate(config.pretrain, optimizer.step);
  const trainer = await openTrainer(config, corpus.index, { parameters, optimizer }, model);
  try {
    for (let t = 0; t < decaySteps; t++) {
      if (job.signal.aborted) throw new InterruptedError(`The decay branch of stage ${plan.stage} starts over.`);
      await trainer.step(await batch(plan.steps - steps + (t % steps)), corpus.index.sequenceLength, rate(t + 1));
      onStep(t + 1);
    }
    trainer.collect();
  } finally {
    await trainer.close();
  }
}

/** The branch's learning rate by its step, from 1; a trunk that is still warming up decays from where it is. */
export function branchRate(pretrain: RunConfig['pretrain'], trunkStep: number): (t: number) => number {
  const warm = trunkLearningRate(pretrain, trunkStep) / pretrain.learningRate;
  return (t) => warm * decayLearningRate(pretrain, t);
}
