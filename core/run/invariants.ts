/** How the files of a finished run must agree with each other, beyond having their recorded hashes. */
import { isDeepStrictEqual } from 'node:util';
import type { Corpus } from '../corpus/corpus.ts';
import { InputError } from '../errors.ts';
import type { Arm, Evaluation, RunRecord, SelectionSummary, StagePlan, TrainingMetrics } from '../formats.ts';
import { armLayout, CORPUS_FILE, checkpointMark, stageLayout } from '../layout.ts';
import { parquetRows, readParquet } from '../parquet.ts';
import { planStage } from '../plan/stage-plan.ts';
import { findCut, openScores } from '../selection/merging/merge.ts';
import { readScorer } from '../selection/scorer-record.ts';
import { selectionRequest } from '../selection/select.ts';
import { getJson } from '../storage/index.ts';
import { type Run, readPlan } from './open-run.ts';
import { changedVersions } from './versions.ts';

/** Rows of a Parquet file that are in memory at once. */
const ROWS_AT_ONCE = 1 << 19;

/** @throws InputError when shards' and domains' rows do not add up to the corpus's. */
export function checkCorpusIndex({ store, index }: Corpus): void {
  const at = `${store.uri}/${CORPUS_FILE}`;
  let rows = 0;
  for (const [i, shard] of index.shards.entries()) {
    demand(
      shard.firstRow === rows,
      at,
      `shard ${i} begins at row ${shard.firstRow}, and the one before ends at ${rows}`,
    );
    rows += shard.rows;
  }
  demand(rows === index.rows, at, `the shards have ${rows} rows, and rows is ${index.rows}`);
  const inDomains = index.domains.reduce((sum, domain) => sum + domain.rows, 0);
  demand(inDomains === index.rows, at, `the domains have ${inDomains} rows, and rows is ${index.rows}`);
  demand(index.tokens === index.rows * index.sequenceLength, at, 'tokens is not rows x sequenceLength');
}

/**
 * Checks one stage of a finished run.
 *
 * @throws InputError that names the file and what it should say.
 */
export async function checkStage(run: Run, corpus: Corpus, stage: number): Promise<void> {
  const { store, record } = run;
  const plan = await readPlan(run, stage);
  const planned = planStage(record.config, corpus.index, stage);
  if (!isDeepStrictEqual(plan, planned)) refusePlan(record, `${store.uri}/${stageLayout(stage).plan}`);
  await checkProbes(run, corpus, plan);
  for (const arm of plan.arms) {
    await checkSelection(run, corpus, plan, arm);
    await checkTraining(run, plan, arm);
  }
}

/** An older version may have dealt the pools otherwise. */
function refusePlan({ versions }: RunRecord, file: string): never {
  const fault = 'it is not the plan that the configuration and the corpus give';
  const mates = changedVersions(versions).find(({ name }) => name === 'mates');
  if (!mates) doesNotHold(file, fault);
  throw new InputError(
    `${file}: ${fault} in version ${mates.now}. Version ${mates.begun} made it: verify the run with that one.`,
  );
}

async function checkProbes({ store }: Run, corpus: Corpus, plan: StagePlan): Promise<void> {
  const isHeldOut = inShards(corpus, plan.holdOutShards);
  const seen = new Set<number>();
  for (let i = 0; i < plan.probeItems; i++) {
    const key = stageLayout(plan.stage).probe(i);
    const at = `${store.uri}/${key}`;
    const { row, influence } = await readParquet({ store, key }, { row: 'INT64', influence: 'DOUBLE' });
    for (const [j, value] of row.entries()) {
      demand(isHeldOut(value), at, `row ${value} is not of the hold-out`);
      demand(!seen.has(value), at, `row ${value} was probed twice`);
      demand(Number.isFinite(influence[j]), at, `the influence of row ${value} is ${influence[j]}`);
      seen.add(value);
    }
  }
  demand(
    seen.size === plan.probes,
    `${store.uri}/${stageLayout(plan.stage).probes}`,
    `${seen.size} rows were probed, and the plan has ${plan.probes}`,
  );
}

async function checkSelection(run: Run, corpus: Corpus, plan: StagePlan, arm: Arm): Promise<void> {
  const { store, record } = run;
  const files = armLayout(plan.stage, arm);
  const summary = await getJson<SelectionSummary>(store, files.selectionSummary);
  const at = `${store.uri}/${files.selectionSummary}`;
  demand(
    summary.selectedRows === plan.selectedRows,
    at,
    `selectedRows is ${summary.selectedRows}, and the plan has ${plan.selectedRows}`,
  );
  demand(summary.poolRows === plan.poolRows, at, `poolRows is ${summary.poolRows}, and the plan has ${plan.poolRows}`);
  const count = (rows: Record<string, number>) => Object.values(rows).reduce((sum, value) => sum + value, 0);
  demand(count(summary.selectedDomains) === plan.selectedRows, at, 'selectedDomains does not add up to selectedRows');
  demand(count(summary.poolDomains) === plan.poolRows, at, 'poolDomains does not add up to poolRows');
  await checkRows(run, corpus, plan, arm, summary);
  if (!plan.scored || arm !== 'main') return;
  const request = selectionRequest(store, corpus, record.config, plan, arm, await readScorer(store, plan));
  demand(summary.method === request.method, at, `method is ${summary.method}, and the scorer has ${request.method}`);
  if (request.scorePrefixes.length === 0) return;
  const scores = await openScores(store, request.scorePrefixes, request.recipe, request.pool);
  const { threshold, tiesKept } = await findCut(store, scores, plan.selectedRows);
  demand(
    threshold === summary.threshold && tiesKept === summary.tiesKept,
    at,
    `threshold and tiesKept are ${summary.threshold} and ${summary.tiesKept}, and the scores' keys give ${threshold} and ${tiesKept}`,
  );
}

/** Checks that the selected rows ascend, are of the pool, and are on the right side of the cut. */
async function checkRows(
  { store }: Run,
  corpus: Corpus,
  plan: StagePlan,
  arm: Arm,
  summary: SelectionSummary,
): Promise<void> {
  const key = armLayout(plan.stage, arm).selection;
  const at = `${store.uri}/${key}`;
  const isInPool = inShards(corpus, plan.poolShards);
  const rows = await parquetRows({ store, key });
  demand(rows === plan.selectedRows, at, `it has ${rows} rows, and the plan has ${plan.selectedRows}`);
  let [last, ties] = [-1, 0];
  for (let begin = 0; begin < rows; begin += ROWS_AT_ONCE) {
    const range = { begin, end: Math.min(rows, begin + ROWS_AT_ONCE) };
    const { row, key: keys } = await readParquet({ store, key }, { row: 'INT64', key: 'INT64' }, range);
    for (const [i, value] of row.entries()) {
      demand(value > last, at, `row ${value} comes after row ${last}`);
      demand(isInPool(value), at, `row ${value} is not of the stage's candidate pool`);
      demand(keys[i]! >= summary.threshold, at, `the key of row ${value} is below the threshold`);
      if (keys[i] === summary.threshold) ties++;
      last = value;
    }
  }
  demand(ties === summary.tiesKept, at, `${ties} keys equal the threshold, and tiesKept is ${summary.tiesKept}`);
}

async function checkTraining({ store }: Run, plan: StagePlan, arm: Arm): Promise<void> {
  const files = armLayout(plan.stage, arm);
  const end = plan.firstStep + plan.steps;
  const marker = checkpointMark(files.checkpoint);
  const { state } = await getJson<{ state: { step: number } }>(store, marker);
  demand(
    state.step === end,
    `${store.uri}/${marker}`,
    `it was saved after step ${state.step}, and the stage ends with ${end}`,
  );
  const metrics = await getJson<TrainingMetrics>(store, files.metrics);
  const at = `${store.uri}/${files.metrics}`;
  demand(
    metrics.firstStep === plan.firstStep,
    at,
    `firstStep is ${metrics.firstStep}, and the plan has ${plan.firstStep}`,
  );
  for (const curve of ['loss', 'gradientNorm', 'learningRate'] as const) {
    demand(
      metrics[curve].length === plan.steps,
      at,
      `${curve} has ${metrics[curve].length} entries for ${plan.steps} steps`,
    );
    const bad = metrics[curve].findIndex((value) => !Number.isFinite(value));
    demand(bad < 0, at, `${curve} is ${metrics[curve][bad]} at step ${plan.firstStep + bad}`);
  }
  const evaluation = await getJson<Evaluation>(store, files.evaluation);
  demand(
    evaluation.step === end,
    `${store.uri}/${files.evaluation}`,
    `it is of step ${evaluation.step}, and the stage ends with ${end}`,
  );
  for (const loss of ['referenceLoss', 'heldOutLoss', 'mixedDomainLoss'] as const)
    demand(Number.isFinite(evaluation[loss]), `${store.uri}/${files.evaluation}`, `${loss} is ${evaluation[loss]}`);
}

/** Whether a row is in one of the shards. */
function inShards(corpus: Corpus, shards: readonly number[]): (row: number) => boolean {
  const those = new Set(shards);
  return (row) => row >= 0 && row < corpus.index.rows && those.has(corpus.shardOf(row));
}

function demand(isSo: boolean, file: string, fault: string): asserts isSo {
  if (!isSo) doesNotHold(file, fault);
}

function doesNotHold(file: string, fault: string): never {
  throw new InputError(`${file}: ${fault}. The run does not hold together; run the stage again.`);
}
