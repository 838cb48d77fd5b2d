import type { Corpus } from '../../core/corpus/corpus.ts';
import { type DsirFile, DsirModel, NgramCounts, PACKAGE_SMOOTHING } from '../../core/dsir/index.ts';
import type { StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { STREAM } from '../../core/random/philox.ts';
import { getRecord, putJson } from '../../core/storage/index.ts';
import { sampleHoldOut } from '../hold-out.ts';
import type { Job } from '../job.ts';
import { loadPassageSet } from '../passages.ts';
import { inBatches, type RowScorer } from './row-scorer.ts';

/** The paper's number of buckets (Xie et al. 2023, section 4). */
const HASHING = { mode: 'fast', buckets: 10_000 } as const;
/** Hold-out rows on which the pool's distribution is counted: with 128 tokens each, some 5 million n-grams. */
const POOL_ROWS = 20_000;
/** Texts that are decoded together. */
const TEXTS_AT_ONCE = 1024;

/** Counts n-grams of the reference passages and of a sample of the corpus, and writes the stage's `dsir.json`. */
export async function fitDsir(job: Job, corpus: Corpus, plan: StagePlan): Promise<void> {
  const key = stageLayout(plan.scorerStage).dsir;
  if ((await job.run.store.size(key)) !== undefined) return;
  const tokenizer = await corpus.tokenizer();
  const reference = new NgramCounts(HASHING);
  for (const { tokens } of await loadPassageSet(job.run, corpus, job.run.record.config.reference))
    reference.add(tokenizer.decode(tokens));
  const pool = new NgramCounts(HASHING);
  const rows = await dsirSample(job, corpus, plan);
  for (let first = 0; first < rows.length; first += TEXTS_AT_ONCE)
    for (const text of (await corpus.documentTexts(rows.slice(first, first + TEXTS_AT_ONCE))).flat()) pool.add(text);
  await putJson(job.run.store, key, new DsirModel(reference, pool, PACKAGE_SMOOTHING, rows.length).toFile());
}

/** @throws RunError when the model of the stage has not been fitted. */
export async function loadDsir(job: Job, stage: number): Promise<DsirModel> {
  const { store } = job.run;
  const key = stageLayout(stage).dsir;
  const file = await getRecord<DsirFile>(store, key, 'mates-dsir/1', 'DSIR was not fitted');
  return DsirModel.fromFile(file, `${store.uri}/${key}`);
}

const dsirSample = (job: Job, corpus: Corpus, plan: StagePlan) =>
  sampleHoldOut(job, corpus, plan, STREAM.dsirSample, POOL_ROWS);

/**
 * Opens the DSIR model that a stage scores by.
 *
 * @returns a function that gives the log-weight of each row. No bigram spans two documents, and a row that the pool's
 *   distribution was counted on is weighed as if it had not been: its n-grams would otherwise seem more common than
 *   those of a candidate.
 */
export async function openDsir(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
): Promise<(rows: readonly number[]) => Promise<Float64Array>> {
  const model = await loadDsir(job, plan.scorerStage);
  const { dsirScore } = job.run.record.config.selection;
  const holdOutShards = new Set(plan.holdOutShards);
  let counted: ReadonlySet<number> | undefined; // read only if needed: the candidates of a run are not of the hold-out
  return async (rows) => {
    if (rows.some((row) => holdOutShards.has(corpus.shardOf(row))))
      counted ??= new Set(await dsirSample(job, corpus, plan));
    const passages = await corpus.documentTexts(rows);
    return Float64Array.from(passages, (texts, i) => model.rowWeight(texts, dsirScore, counted?.has(rows[i]!)));
  };
}

export async function dsirScorer(job: Job, corpus: Corpus, plan: StagePlan): Promise<RowScorer> {
  const weigh = await openDsir(job, corpus, plan);
  return {
    cost: 0, // no matrix product
    utilities: (rows, onBatch) => inBatches(rows, TEXTS_AT_ONCE, onBatch, weigh),
  };
}
