/**
 * Pretrains one arm for one stage: loads the checkpoint of the stage before (weights, moments and step count), trains on
 * the stage's selection in a seeded order, and writes the stage's checkpoint. If killed anywhere, it resumes from its
 * last resumable checkpoint to the same bytes.
 */

import { throwIfStopped } from '../../core/errors.ts';
import type { Arm, CorpusIndex, TrainingMetrics } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { mapAhead } from '../../core/parallel.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { putJson } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type Checkpoint, type CheckpointParts, hasCheckpoint, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { modelCost, modelShape, openTrainer } from '../model.ts';
import { PartialCheckpoints } from '../partial-checkpoints.ts';
import { loadRunCheckpoint } from '../run-checkpoint.ts';
import { firstWeights } from './first-weights.ts';
import { openTrainingRows, stepsFrom } from './training-rows.ts';

export async function run(job: Job): Promise<void> {
  const { store, record } = job.run;
  const layout = armLayout(job.stage, job.arm);
  const partial = new PartialCheckpoints(store, layout.partialCheckpoints, record.config.pretrain);
  // An earlier attempt that was killed after saving the stage's checkpoint left its partial checkpoints behind.
  if (await hasCheckpoint(store, layout.checkpoint)) return partial.drop();
  await timed(job, `pretrain-${job.arm}`, () => pretrain(job, partial));
}

async function pretrain(job: Job, partial: PartialCheckpoints): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = armLayout(job.stage, job.arm);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const length = corpus.index.sequenceLength;
  const { batchRows } = config.pretrain;

  const rows = await openTrainingRows(job, corpus, plan);
  const { checkpoint, metrics } = await startingPoint(job, corpus.index, partial, plan.firstStep);
  const shape = modelShape(config, corpus.index);
  const parameters = checkpoint?.parameters ?? (await firstWeights(job, corpus.index, shape));
  const optimizer = checkpoint?.optimizer ?? AdamW.beside(parameters.flat, config.pretrain);
  const trainer = await openTrainer(config, corpus.index, { parameters, optimizer });
  const step = job.arm === 'main' ? 'Pretrain' : `Pretrain (${job.arm})`;

  const parts = (more: { metrics?: TrainingMetrics } = {}): CheckpointParts => {
    trainer.collect();
    return {
      shape,
      contextLength: length,
      endOfText: corpus.index.tokenizer.endOfText,
      parameters,
      optimizer,
      state: { step: optimizer.step, tokens: optimizer.step * batchRows * length, ...more },
    };
  };

  try {
    for await (const batch of mapAhead(stepsFrom(metrics.loss.length, plan.steps), 2, rows)) {
      const learningRate = trunkLearningRate(config.pretrain, optimizer.step);
      const result = await trainer.step(batch, length, learningRate, job.signal);
      if (result) {
        metrics.loss.push(result.loss);
        metrics.gradientNorm.push(result.gradientNorm);
        metrics.learningRate.push(learningRate);
        metrics.tokens += batchRows * length;
        const note = `loss ${result.loss.toFixed(3)}`;
        job.progress({ step, done: metrics.loss.length, total: plan.steps, unit: 'steps', note });
      }
      const done = metrics.loss.length;
      if (done === plan.steps) break; // the stage's own checkpoint comes next
      if (job.signal.aborted || partial.isDue(done))
        await partial.save(optimizer.step, (key) => saveCheckpoint(store, key, parts({ metrics })));
      throwIfStopped(
        job.signal,
        `${step} of stage ${job.stage} stopped after step ${done} of ${plan.steps}; it resumes there.`,
      );
    }
  } finally {
    await trainer.close();
  }
  await putJson(store, layout.metrics, metrics);
  return {
    flops: 3 * modelCost(config, corpus.index)(plan.steps * batchRows, length), // whichever attempts did the steps
    finish: async () => {
      await saveCheckpoint(store, layout.checkpoint, parts()); // its last file marks the whole stage as trained
      await partial.drop();
    },
  };
}

/** The newest resumable checkpoint of this stage, else the checkpoint of the stage before, else nothing. */
async function startingPoint(
  job: Job,
  corpus: CorpusIndex,
  partial: PartialCheckpoints,
  firstStep: number,
): Promise<{ checkpoint?: Checkpoint; metrics: TrainingMetrics }> {
  const newest = await partial.newest();
  if (newest) {
    const checkpoint = await loadRunCheckpoint(job.run, corpus, newest);
    return { checkpoint, metrics: checkpoint.state.metrics as TrainingMetrics };
  }
  const metrics: TrainingMetrics = {
    format: 'mates-training/1',
    firstStep,
    loss: [],
    gradientNorm: [],
    learningRate: [],
    tokens: 0,
  };
  if (job.stage === 0) return { metrics };
  return { checkpoint: await loadRunCheckpoint(job.run, corpus, previousCheckpoint(job.stage, job.arm)), metrics };
}

/** The control arm shares the random first stage with the main arm and branches off after it. */
function previousCheckpoint(stage: number, arm: Arm): string {
  return armLayout(stage - 1, stage === 1 ? 'main' : arm).checkpoint;
}
