/** Scores a slice of the stage's candidate pool with the influence model; utility is minus the predicted influence. */

import { InterruptedError } from '../../core/errors.ts';
import type { ScoreItem } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { scoredRanges } from '../../core/plan/stage-plan.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { hasScores, writeScores } from '../../core/selection/scores.ts';
import { loadInfluenceModel } from '../../engine/bert-checkpoint.ts';
import { openInfluenceModel } from '../influence-model.ts';
import { type Job, timed } from '../job.ts';
import { predictInfluence } from '../predict-influence.ts';

export async function run(job: Job): Promise<void> {
  const item = job.item as ScoreItem;
  if (await hasScores(job.run.store, stageLayout(job.stage).score(item.index))) return;
  await timed(job, `score-${item.index}`, () => score(job, item));
}

async function score(job: Job, item: ScoreItem): Promise<void> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = stageLayout(job.stage);
  const corpus = await openRunCorpus(job.run);
  const model = await openInfluenceModel(job.run, corpus);
  const { parameters } = await loadInfluenceModel(store, layout.influenceModel, model.regressor.specs);
  const ranges = scoredRanges(await readPlan(job.run, job.stage), corpus.index, item);
  const total = item.end - item.begin;

  const utilities = new Float32Array(total);
  const { batchDocuments } = config.scoring;
  let done = 0;
  for (const { begin, end } of ranges) {
    for (let first = begin; first < end; first += batchDocuments) {
      const rows = Array.from({ length: Math.min(batchDocuments, end - first) }, (_, i) => first + i);
      const predicted = await predictInfluence(model, parameters, rows, batchDocuments);
      if (job.signal.aborted) throw new InterruptedError(`scoring of slice ${item.index} stopped; it starts over.`);
      for (const [i, influence] of predicted.entries()) utilities[done + i] = -influence;
      done += predicted.length;
      job.progress({ step: `Score, slice ${item.index + 1}`, done, total, unit: 'documents' });
    }
  }
  await writeScores(store, layout.score(item.index), {
    ranges,
    utilities,
    corpus,
    noise: { seed: config.seed, stage: job.stage },
    temperature: config.selection.temperature,
    gumbel: config.selection.gumbel,
  });
}
