/**
 * A quality classifier, the filter that most corpora are made with: which rows of the pool look most like the reference
 * passages, by a linear model of n-grams that tells the two apart (as in arXiv 2005.14165, appendix A, and 2406.11794).
 * It knows nothing of the model that is trained, which is what it is to be compared for.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { RunError } from '../../core/errors.ts';
import { NgramFeatures } from '../../core/features/ngrams.ts';
import type { StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { STREAM } from '../../core/random/philox.ts';
import { fitRidge, predictRidge } from '../../core/regression/ridge.ts';
import { type RidgeFile, ridgeFile, ridgeModel } from '../../core/regression/ridge-file.ts';
import { getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import { sampleHoldOut } from '../hold-out.ts';
import type { Job } from '../job.ts';
import { referenceRows } from '../passages.ts';
import { inBatches, type RowScorer } from './row-scorer.ts';

/** Hold-out rows that stand for the pool. */
const POOL_ROWS = 4096;
/** Times the number of rows, to choose from: as the influence model's (containers/fit-influence/ridge.ts). */
const PENALTIES = [1e-4, 1e-3, 1e-2, 0.1, 1];
/** Rows whose n-grams are in memory at once. */
const ROWS_AT_ONCE = 1024;

/** Fits the labels 1 of the reference's rows and 0 of a sample of the hold-out, and writes the stage's `classifier.json`. */
export async function fitClassifier(job: Job, corpus: Corpus, plan: StagePlan): Promise<void> {
  const { store, record } = job.run;
  const key = stageLayout(plan.scorerStage).classifier;
  if ((await store.size(key)) !== undefined) return;
  const { sequenceLength, tokenizer } = corpus.index;
  const spec = {
    sequenceLength,
    vocabularySize: tokenizer.vocabularySize,
    buckets: record.config.influenceModel.buckets,
  };
  const reference = await referenceRows(job.run, corpus);
  const pool = await corpus.tokenRows(await classifierSample(job, corpus, plan));
  const tokens = new Int32Array(reference.length + pool.length);
  tokens.set(reference);
  tokens.set(pool, reference.length);
  const rows = tokens.length / sequenceLength;
  const ngrams = new NgramFeatures(spec).rows(withoutEnds(tokens, tokenizer.endOfText));
  const labels = Array.from({ length: rows }, (_, row) => (row * sequenceLength < reference.length ? 1 : 0));
  const penalties = PENALTIES.map((each) => each * rows);
  const model = fitRidge({ ngrams }, labels, { penalties, seed: record.config.seed, stage: job.stage });
  await putJson(store, key, ridgeFile(model, spec));
}

/** Rows that stand for the pool. No more than half of those there are: the scale of the scores is measured on the others. */
export function classifierSample(job: Job, corpus: Corpus, plan: StagePlan): Promise<number[]> {
  return sampleHoldOut(job, corpus, plan, STREAM.classifierSample, POOL_ROWS, { share: 0.5 });
}

export async function classifierScorer(job: Job, corpus: Corpus, plan: StagePlan): Promise<RowScorer> {
  const { store } = job.run;
  const key = stageLayout(plan.scorerStage).classifier;
  const file = await getJsonIfPresent<RidgeFile>(store, key);
  if (!file) throw new RunError(`${store.uri}/${key} is missing: the classifier was not fitted; run the step again.`);
  const model = ridgeModel(file);
  const features = new NgramFeatures(file.ngrams!);
  const { endOfText } = corpus.index.tokenizer;
  return {
    cost: 0, // no matrix product
    utilities: (rows, onBatch) =>
      inBatches(rows, ROWS_AT_ONCE, onBatch, async (part) => {
        const ngrams = features.rows(withoutEnds(await corpus.tokenRows(part), endOfText));
        return predictRidge(model, { ngrams });
      }),
  };
}

/** How long documents are, which the ends of packed passages would tell, is not what is asked. */
function withoutEnds(tokens: Int32Array, endOfText: number): Int32Array {
  return tokens.map((token) => (token === endOfText ? -1 : token));
}
