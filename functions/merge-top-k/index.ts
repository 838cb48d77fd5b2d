import type { RunReference } from '../../core/run/execution-input.ts';
import { openRun, openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import { openerFromEnvironment } from '../environment.ts';
import { retriable } from '../retriable.ts';

interface Event {
  run: RunReference;
  stage: number;
}

/** Makes the stage's selection for every arm: the exact top-k of all scoring jobs' keys, or a random one. */
export const handler = retriable(async ({ run: reference, stage }: Event): Promise<void> => {
  const run = await openRun(openerFromEnvironment(), reference.uri);
  const corpus = await openRunCorpus(run);
  const plan = await readPlan(run, stage);
  const scorer = plan.scored ? await readScorer(run.store, plan) : undefined;
  for (const arm of plan.arms)
    await selectRows(selectionRequest(run.store, corpus, run.record.config, plan, arm, scorer));
});
