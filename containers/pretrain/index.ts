/**
 * Pretrains one arm for one stage: loads the checkpoint of the stage before (weights, moments and step count), trains on
 * the stage's selection in a seeded order, and writes the stage's checkpoint. Killed anywhere, it goes on from its last
 * resumable checkpoint to the same bytes.
 */

import { InterruptedError } from '../../core/errors.ts';
import type { Arm, TrainingMetrics } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { putJson, type Store } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type Checkpoint, hasCheckpoint, loadCheckpoint, saveCheckpoint } from '../../engine/checkpoint.ts';
import { gptNeoxSpecs } from '../../engine/gpt-neox.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { modelCost, modelShape, openTrainer } from '../model.ts';
import { openTrainingRows } from './training-rows.ts';

export async function run(job: Job): Promise<void> {
  const layout = armLayout(job.stage, job.arm);
  // Killed between the two, the attempt before left partial checkpoints of a stage that is whole.
  if (await hasCheckpoint(job.run.store, layout.checkpoint))
    return dropPartialCheckpoints(job.run.store, layout.partialCheckpoints);
  await timed(job, `pretrain-${job.arm}`, () => pretrain(job));
}

async function pretrain(job: Job): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = armLayout(job.stage, job.arm);
  const plan = await readPlan(job.run, job.stage);
  const corpus = await openRunCorpus(job.run);
  const length = corpus.index.sequenceLength;
  const { batchRows, checkpointEverySteps, checkpointEveryMinutes } = config.pretrain;

  const rows = await openTrainingRows(job, corpus, plan);
  const { checkpoint, metrics } = await startingPoint(job, plan.firstStep);
  const shape = modelShape(config, corpus.index);
  const parameters = checkpoint?.parameters ?? initialParameters(gptNeoxSpecs(shape), config.seed);
  const optimizer = checkpoint?.optimizer ?? AdamW.beside(parameters.flat, config.pretrain);
  const trainer = await openTrainer(config, corpus.index, { parameters, optimizer });
  const step = job.arm === 'main' ? 'Pretrain' : `Pretrain (${job.arm})`;

  const save = (prefix: string, more: { metrics?: TrainingMetrics } = {}) => {
    trainer.collect();
    return saveCheckpoint(store, prefix, {
      shape,
      contextLength: length,
      endOfText: corpus.index.tokenizer.endOfText,
      parameters,
      optimizer,
      state: { step: optimizer.step, tokens: optimizer.step * batchRows * length, ...more },
    });
  };

  let savedAt = performance.now();
  try {
    for (let t = metrics.loss.length; t < plan.steps; t++) {
      const learningRate = trunkLearningRate(config.pretrain, optimizer.step);
      const result = await trainer.step(await rows(t), length, learningRate);
      metrics.loss.push(result.loss);
      metrics.gradientNorm.push(result.gradientNorm);
      metrics.learningRate.push(learningRate);
      metrics.tokens += batchRows * length;
      const note = `loss ${result.loss.toFixed(3)}`;
      job.progress({ step, done: t + 1, total: plan.steps, unit: 'steps', note });
      if (t + 1 === plan.steps) break; // the stage's own checkpoint comes next
      const minutes = (performance.now() - savedAt) / 60_000;
      if (job.signal.aborted || (t + 1) % checkpointEverySteps === 0 || minutes >= checkpointEveryMinutes) {
        await save(layout.partialCheckpoint(optimizer.step), { metrics });
        await dropPartialCheckpoints(store, layout.partialCheckpoints, layout.partialCheckpoint(optimizer.step));
        savedAt = performance.now();
      }
      if (job.signal.aborted)
        throw new InterruptedError(
          `${step} of stage ${job.stage} stopped after step ${t + 1} of ${plan.steps}; it resumes there.`,
        );
    }
  } finally {
    await trainer.close();
  }
  await putJson(store, layout.metrics, metrics);
  return {
    flops: 3 * modelCost(config, corpus.index)(plan.steps * batchRows, length), // whichever attempt has done the steps
    finish: async () => {
      await save(layout.checkpoint); // its last file marks the whole stage as trained
      await dropPartialCheckpoints(store, layout.partialCheckpoints);
    },
  };
}

/** The newest resumable checkpoint of this stage, else the checkpoint of the stage before, else nothing. */
async function startingPoint(
  job: Job,
  firstStep: number,
): Promise<{ checkpoint?: Checkpoint; metrics: TrainingMetrics }> {
  const { store } = job.run;
  const layout = armLayout(job.stage, job.arm);
  const marks = (await store.list(layout.partialCheckpoints)).filter((key) => key.endsWith('/training.json'));
  const newest = marks.at(-1);
  if (newest) {
    const checkpoint = await loadCheckpoint(store, newest.slice(0, -'/training.json'.length));
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
  return { checkpoint: await loadCheckpoint(store, previousCheckpoint(job.stage, job.arm)), metrics };
}

/** The random first stage is shared: the control leaves the main arm after it. */
function previousCheckpoint(stage: number, arm: Arm): string {
  return armLayout(stage - 1, stage === 1 ? 'main' : arm).checkpoint;
}

async function dropPartialCheckpoints(store: Store, folder: string, keep?: string): Promise<void> {
  const stale = (await store.list(folder)).filter((key) => !keep || !key.startsWith(`${keep}/`));
  // The mark goes first: what is left of a half-deleted checkpoint is then never taken for whole.
  stale.sort((a, b) => Number(b.endsWith('/training.json')) - Number(a.endsWith('/training.json')));
  for (const key of stale) await store.delete(key);
}
