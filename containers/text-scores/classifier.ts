/**
 * A quality classifier, the filter that most corpora are made with. It finds the rows of the pool that look most like
 * the reference passages, by a linear model of n-grams that distinguishes the two (as in arXiv 2005.14165, appendix A,
 * and 2406.11794). It knows nothing of the model that is trained, which is why it is worth comparing with.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { NgramFeatures } from '../../core/features/ngrams.ts';
import type { StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { STREAM } from '../../core/random/philox.ts';
import { fitRidge, predictRidge } from '../../core/regression/ridge.ts';
import { type RidgeFile, ridgeFile, ridgeModel } from '../../core/regression/ridge-file.ts';
import { FEW_REFERENCE_ROWS } from '../../core/selection/reference-rows.ts';
import { getRecord, putJson } from '../../core/storage/index.ts';
import { sampleHoldOut } from '../hold-out.ts';
import type { Job } from '../job.ts';
import { referenceRows } from '../passages.ts';
import { inBatches, type RowScorer } from './row-scorer.ts';

/** Hold-out rows that stand for the pool. */
const POOL_ROWS = 4096;
/**
 * Penalties to choose from, per fitted row, like the influence model's (containers/influence-model/ridge.ts). Where the
 * reference has few rows, the choice would be made by noise, and the largest does best.
 */
const PENALTIES = [1e-4, 1e-3, 1e-2, 0.1, 1];
/** Parts of both kinds of rows that are held out in turn to choose the penalty by. */
const FOLDS = 5;
/** Rows whose n-grams are in memory at once. */
const ROWS_AT_ONCE = 1024;

/**
 * The stage's `classifier.json`. If rows of its sample are candidates too, as in `mates select`, a model that was
 * taught that they are not the reference would score them too low. Each half of them is therefore scored by a model
 * fitted to the other.
 */
export interface ClassifierFile extends RidgeFile {
  /** Every second row of the sample is scored by the second model. Absent if no row of the sample is a candidate. */
  halves?: [RidgeFile, RidgeFile];
}

/**
 * Fits the label 1 for the reference's rows and 0 for a sample of the hold-out, and writes the stage's
 * `classifier.json`.
 */
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
  const features = new NgramFeatures(spec);
  const reference = await referenceRows(job.run, corpus);
  const sample = await classifierSample(job, corpus, plan);
  const fitTo = async (poolRows: number[], penalties: readonly number[]) => {
    const pool = await corpus.tokenRows(poolRows);
    const tokens = new Int32Array(reference.length + pool.length);
    tokens.set(reference);
    tokens.set(pool, reference.length);
    const ngrams = features.rows(withoutEnds(tokens, tokenizer.endOfText));
    const labels = Array.from({ length: ngrams.rows }, (_, row) => (row * sequenceLength < reference.length ? 1 : 0));
    const folds = blocks(labels, FOLDS);
    return fitRidge({ ngrams }, labels, { penalties, folds });
  };
  const ofReference = reference.length / sequenceLength;
  const penalties = ofReference < FEW_REFERENCE_ROWS ? PENALTIES.slice(-1) : PENALTIES;
  const model = await fitTo(
    sample,
    penalties.map((each) => each * (ofReference + sample.length)),
  );
  const file: ClassifierFile = ridgeFile(model, spec);
  if (plan.holdOutShards.some((shard) => plan.poolShards.includes(shard))) {
    // Each row counts twice, so that the reference keeps its relative weight and the scores keep their level.
    const other = async (half: number) => {
      const learned = sample.filter((_, i) => i % 2 !== half);
      return ridgeFile(await fitTo([...learned, ...learned], [model.chosen.penalty]), spec);
    };
    file.halves = [await other(0), await other(1)];
  }
  await putJson(store, key, file);
}

/**
 * Rows that stand for the pool: at most half of the available ones, since the others measure the scale of the scores.
 */
export function classifierSample(job: Job, corpus: Corpus, plan: StagePlan): Promise<number[]> {
  return sampleHoldOut(job, corpus, plan, STREAM.classifierSample, POOL_ROWS, { share: 0.5 });
}

export async function classifierScorer(job: Job, corpus: Corpus, plan: StagePlan): Promise<RowScorer> {
  const { store } = job.run;
  const key = stageLayout(plan.scorerStage).classifier;
  const file = await getRecord<ClassifierFile>(store, key, 'mates-ridge/1', 'the classifier was not fitted');
  const model = ridgeModel(file);
  const features = new NgramFeatures(file.ngrams!);
  const { endOfText } = corpus.index.tokenizer;
  const halves = file.halves?.map(ridgeModel);
  const learned = new Map(halves && (await classifierSample(job, corpus, plan)).map((row, i) => [row, i % 2]));
  return {
    cost: 0, // no matrix product
    utilities: (rows, onBatch) =>
      inBatches(rows, ROWS_AT_ONCE, onBatch, async (part) => {
        const ngrams = features.rows(withoutEnds(await corpus.tokenRows(part), endOfText));
        const scores = predictRidge(model, { ngrams });
        for (const [half, other] of halves?.entries() ?? []) {
          if (!part.some((row) => learned.get(row) === half)) continue;
          const unlearned = predictRidge(other, { ngrams });
          for (const [i, row] of part.entries()) if (learned.get(row) === half) scores[i] = unlearned[i]!;
        }
        return scores;
      }),
  };
}

/**
 * Folds of consecutive rows, with equally many reference rows, and equally many rows of the pool, in each. If there are
 * few reference rows, a random fold might get none of them. And a passage may lie in two rows, which are then mostly in
 * one fold.
 */
function blocks(labels: readonly number[], count: number): number[][] {
  const folds = Array.from({ length: count }, (): number[] => []);
  const reference = labels.filter((label) => label === 1).length;
  for (const [row, label] of labels.entries()) {
    const place = label === 1 ? row / reference : (row - reference) / (labels.length - reference);
    folds[Math.floor(count * place)]!.push(row);
  }
  return folds;
}

/** Masks the ends of documents: they would give away the lengths of packed passages, which should not count. */
function withoutEnds(tokens: Int32Array, endOfText: number): Int32Array {
  return tokens.map((token) => (token === endOfText ? -1 : token));
}
