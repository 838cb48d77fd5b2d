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
  let done = 0;
  for (const { begin, end } of ranges) {
    const rows = Array.from({ length: end - begin }, (_, i) => begin + i);
    const predicted = await predictInfluence(model, parameters, rows, config.scoring.batchDocuments, (rowsDone) => {
      if (job.signal.aborted) throw new InterruptedError(`scoring of slice ${item.index} stopped; it starts over.`);
      job.progress({ step: `Score, slice ${item.index + 1}`, done: done + rowsDone, total, unit: 'documents' });
    });
    for (let i = 0; i < predicted.length; i++) utilities[done + i] = -predicted[i]!;
    done += predicted.length;
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
