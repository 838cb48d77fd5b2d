/** The rows that have been probed, with their measured influence. */
import type { InfluenceFit, StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { readPlan } from '../../core/run/open-run.ts';
import { getJson } from '../../core/storage/index.ts';
import type { Job } from '../job.ts';
import type { LabelledRows } from './predictor.ts';

/** A probed row and its measured influence. */
export interface Labelled {
  row: number;
  influence: number;
}

/** All probes of a stage, in order of row, whichever job measured them. */
export async function readProbes(job: Job, plan: StagePlan): Promise<Labelled[]> {
  const labelled: Labelled[] = [];
  for (let index = 0; index < plan.probeItems; index++) {
    const key = stageLayout(plan.stage).probe(index);
    const columns = await readParquet({ store: job.run.store, key }, { row: 'INT64', influence: 'DOUBLE' });
    columns.row.forEach((row, i) => {
      labelled.push({ row, influence: columns.influence[i]! });
    });
  }
  return labelled.sort((a, b) => a.row - b.row);
}

/** Probes of an earlier stage, in that stage's own standard deviations. */
export interface EarlierProbes extends LabelledRows {
  stage: number;
}

/**
 * The probes of earlier stages that had any, latest first. Each stage's are in its own standard deviations, because
 * checkpoints differ in the scale of influence far more than in the order of documents.
 *
 * @param stages the most stages to go back.
 */
export async function earlierProbes(job: Job, stages: number): Promise<EarlierProbes[]> {
  const found: EarlierProbes[] = [];
  for (let stage = job.stage - 1; stage >= 1 && stage >= job.stage - stages; stage--) {
    const plan = await readPlan(job.run, stage);
    if (plan.probes === 0) continue;
    const { mean, std } = await getJson<InfluenceFit>(job.run.store, stageLayout(stage).fit);
    const probes = await readProbes(job, plan);
    found.push({
      stage,
      rows: probes.map(({ row }) => row),
      labels: probes.map(({ influence }) => (influence - mean) / std),
    });
  }
  return found;
}

/**
 * Rows of earlier stages that the influence model of this one was fitted to: with weights that continue from the stage
 * before, all of them.
 */
export async function learnedBefore(job: Job): Promise<number[]> {
  const { warmStart, earlierStages } = job.run.record.config.influenceModel;
  const probes = await earlierProbes(job, warmStart ? job.stage : earlierStages);
  return probes.flatMap(({ rows }) => rows);
}

/** The probes that the previous stage's model was fitted to, of whichever stages, and those that are fitted again. */
export async function probesBefore(
  job: Job,
): Promise<{ seen: number[]; earlier: { rows: number[]; labels: number[] } }> {
  const { warmStart, earlierStages } = job.run.record.config.influenceModel;
  const before = await earlierProbes(job, warmStart ? job.stage : 1 + earlierStages);
  const again = before.filter(({ stage }) => stage >= job.stage - earlierStages);
  return {
    seen: before.flatMap(({ rows }) => rows),
    earlier: { rows: again.flatMap(({ rows }) => rows), labels: again.flatMap(({ labels }) => labels) },
  };
}
