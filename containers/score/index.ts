/** Scores a slice of the stage's candidate pool: the stage's scorer gives each row's utility. */

import { throwIfStopped } from '../../core/errors.ts';
import type { Slice } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { scoredRanges } from '../../core/plan/stage-plan.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { hasScores, writeScores } from '../../core/selection/scores.ts';
import { keyRecipe } from '../../core/selection/select.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { openScorer } from '../scorer/open-scorer.ts';

export async function run(job: Job): Promise<void> {
  const item = job.item as Slice;
  if (await hasScores(job.run.store, stageLayout(job.stage).score(item.index))) return;
  await timed(job, `score-${item.index}`, () => score(job, item));
}

/** Rows that are scored together, so that memory does not grow with the slice. */
const ROWS_AT_ONCE = 8192;

async function score(job: Job, item: Slice): Promise<Computed> {
  const { store, record } = job.run;
  const { config } = record;
  const layout = stageLayout(job.stage);
  const corpus = await openRunCorpus(job.run);
  const plan = await readPlan(job.run, job.stage);
  const chosen = await readScorer(store, plan);
  if (chosen.parts.length === 0) return { flops: 0 }; // the rows are taken at random
  const scorer = await openScorer(job, corpus, plan, chosen);
  const ranges = scoredRanges(plan, corpus.index, item);
  const total = item.end - item.begin;

  const utilities = new Float32Array(total);
  let done = 0;
  for (const { begin, end } of ranges) {
    for (let first = begin; first < end; first += ROWS_AT_ONCE) {
      const rows = Array.from({ length: Math.min(ROWS_AT_ONCE, end - first) }, (_, i) => first + i);
      const found = await scorer.utilities(rows, (rowsDone) => {
        throwIfStopped(job.signal, `scoring of slice ${item.index} stopped; it starts over.`);
        job.progress({ step: `Score, slice ${item.index + 1}`, done: done + rowsDone, total, unit: 'rows' });
      });
      utilities.set(found, done);
      done += found.length;
    }
  }
  const scores = { ranges, utilities, corpus, ...keyRecipe(config, job.stage, chosen) };
  return { flops: total * scorer.cost, finish: () => writeScores(store, layout.score(item.index), scores) };
}
