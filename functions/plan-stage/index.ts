import { recordedSizes } from '../../core/cost/passages.ts';
import { costThroughStage } from '../../core/cost/price.ts';
import type { Arm, CorpusIndex, PassagesCheck, StagePlan } from '../../core/formats.ts';
import { armLayout, checkpointMark, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { planStage, probeItems, scoreItems } from '../../core/plan/stage-plan.ts';
import { stageWork } from '../../core/plan/stage-work.ts';
import type { RunReference } from '../../core/run/execution-input.ts';
import { openRun, openRunCorpus, type Run } from '../../core/run/open-run.ts';
import { secondsByJob, taskOf } from '../../core/run/timings.ts';
import { getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import type { TaskName } from '../../core/tasks.ts';
import { deploymentFromEnvironment, openerFromEnvironment } from '../environment.ts';
import { retriable } from '../retriable.ts';

interface Event {
  run: RunReference;
  stage: number;
}

interface Answer {
  /** Which parts of the scoring remain to be done; see StagePlan. */
  scored: boolean;
  preparesProbe: boolean;
  probed: boolean;
  arms: { arm: Arm }[];
  /** Bucket keys of the JSON arrays that the probing and scoring maps read. */
  probeItemsKey: string;
  scoreItemsKey: string;
  /** False when there is something to do and the cost up to the end of this stage would be above the run's cap. */
  withinBudget: boolean;
}

/**
 * Plans one stage and writes the items of its maps to the lake. For a finished stage nothing is scored and no arm
 * trained.
 */
export const handler = retriable(async ({ run: reference, stage }: Event): Promise<Answer> => {
  const run = await openRun(openerFromEnvironment(), reference.uri);
  const corpus = await openRunCorpus(run);
  const plan = planStage(run.record.config, corpus.index, stage);
  // A plan that cannot work at a later stage is refused before anything is trained.
  if (stage === 0)
    for (let later = 1; later < run.record.config.pretrain.stages; later++)
      planStage(run.record.config, corpus.index, later);
  const layout = stageLayout(stage);
  if (plan.probes > 0) await run.store.put(layout.probeItems, JSON.stringify(probeItems(plan)));
  if (plan.scored) await run.store.put(layout.scoreItems, JSON.stringify(scoreItems(plan)));
  await putJson(run.store, layout.plan, plan);
  const done = await isDone(run, plan);
  return {
    scored: plan.scored && !done,
    preparesProbe: plan.preparesProbe && !done,
    probed: plan.probes > 0 && !done,
    arms: done ? [] : plan.arms.map((arm) => ({ arm })),
    probeItemsKey: `${reference.prefix}/${layout.probeItems}`,
    scoreItemsKey: `${reference.prefix}/${layout.scoreItems}`,
    withinBudget: done || (await isWithinBudget(run, corpus.index, reference, stage)),
  };
});

async function isWithinBudget(
  run: Run,
  corpus: CorpusIndex,
  { trainer, maxCostUsd }: RunReference,
  stage: number,
): Promise<boolean> {
  if (maxCostUsd === undefined) return true;
  const measured = [];
  for (let past = 0; past <= stage; past++) measured.push(await jobHours(run, past));
  const checked = await getJsonIfPresent<PassagesCheck>(run.store, PASSAGES_FILE);
  const passages = checked && recordedSizes(checked);
  const place = { corpus, passages, deployment: deploymentFromEnvironment(), trainer, measured };
  return costThroughStage(run.record.config, stage, place) <= maxCostUsd;
}

/**
 * Hours that a stage's jobs have taken so far, added up by task; the first stage's have those of preparing the corpus. A
 * task of which nothing is recorded is absent, so that its estimate counts.
 */
async function jobHours({ store, record }: Run, stage: number): Promise<Map<TaskName, number>> {
  const hours = new Map<TaskName, number>();
  let trained = 0;
  for (const [job, seconds] of await secondsByJob(store, stage)) {
    const task = taskOf(job);
    if (task) hours.set(task, (hours.get(task) ?? 0) + seconds / 3600);
    if (task === 'pretrain') trained++;
  }
  // A trainer of one's own records no time. An arm that it trained after ours had trained the other took as long.
  if (trained > 0) {
    const arms = stageWork(record.config, stage).arms.length;
    hours.set('pretrain', (hours.get('pretrain')! * Math.max(arms, trained)) / trained);
  }
  return hours;
}

/**
 * Whether the stage's last files are there. Its jobs would also find that they are, but each would need an instance to
 * do so. Checkpoints are checked as well as evaluations: one that was damaged and deleted must be trained again.
 */
async function isDone({ store }: Run, { stage, arms }: StagePlan): Promise<boolean> {
  const last = arms
    .map((arm) => armLayout(stage, arm))
    .flatMap(({ evaluation, checkpoint }) => [evaluation, checkpointMark(checkpoint)]);
  const sizes = await Promise.all(last.map((key) => store.size(key)));
  return sizes.every((size) => size !== undefined);
}
