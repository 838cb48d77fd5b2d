/**
 * The cheap influence model: ridge regression on hashed n-grams of a row's tokens and on its features. On features
 * alone, it is the linear part of another architecture, which then fits the residuals.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { NgramFeatures, type NgramSpec } from '../../core/features/ngrams.ts';
import { stageLayout } from '../../core/layout.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import { type FeatureBlocks, fitRidge, type LinearModel, predictRidge } from '../../core/regression/ridge.ts';
import { type RidgeFile, ridgeFile, ridgeModel } from '../../core/regression/ridge-file.ts';
import { getRecord, putJson } from '../../core/storage/index.ts';
import type { Job } from '../job.ts';
import { openFeatures, type RowFeatures } from './features.ts';
import { type Architecture, concatenated, type FitSets, type InfluencePredictor } from './predictor.ts';
import { dealFolds } from './split.ts';

const FILE = 'ridge.json';
/** Penalties to choose from, per fitted row: from nearly none to one that leaves nearly nothing of the weights. */
const PENALTIES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3];
/**
 * The penalty of a single number that is known to matter, such as a loss, is nearly none; that of a hidden state's many
 * numbers is chosen.
 */
const RELATIVE_PENALTIES: Record<string, readonly number[]> = {
  dsir: [0.01],
  loss: [0.01],
  hidden: [0.1, 1, 10],
};
/** With fewer labels than this, penalties cannot be chosen, and each is as large as the labels' variance. */
const LEAST_TO_CHOOSE = 50;
/**
 * Parts of the labels that are held out in turn to choose by. With many labels, one part suffices, in a fifth of the
 * time.
 */
const FOLDS = 5;
const MANY_LABELS = 20_000;
/** Rows whose n-grams are in memory at once. */
const ROWS_AT_ONCE = 1024;

/** Turns rows into the regression's input. */
interface RidgeInput {
  blocks(rows: readonly number[]): Promise<FeatureBlocks>;
  cost: number;
}

async function openInput(job: Job, corpus: Corpus, stage: number, ngrams?: NgramSpec): Promise<RidgeInput> {
  const features: RowFeatures = await openFeatures(job, corpus, stage);
  const hashed = ngrams && new NgramFeatures(ngrams);
  return {
    cost: features.cost,
    blocks: async (rows) => ({
      dense: await features.blocks(rows),
      ngrams: hashed?.rows(await corpus.tokenRows(rows)),
    }),
  };
}

class RidgePredictor implements InfluencePredictor {
  readonly cost: number;
  private readonly input: RidgeInput;
  private readonly model: LinearModel;

  constructor(input: RidgeInput, model: LinearModel) {
    this.input = input;
    this.model = model;
    this.cost = input.cost;
  }

  async predict(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float32Array> {
    const predicted = new Float32Array(rows.length);
    for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
      const part = rows.slice(first, first + ROWS_AT_ONCE);
      predicted.set(predictRidge(this.model, await this.input.blocks(part)), first);
      onBatch?.(first + part.length);
    }
    return predicted;
  }
}

/**
 * Fits to the labelled rows, including those for validation: the penalty is chosen by holding out each fifth of them in
 * turn, keeping rows that share documents together.
 *
 * @param only `features` leaves the n-grams out.
 */
export async function fitRidgeModel(
  job: Job,
  corpus: Corpus,
  { fit, validation, earlier, documentsOf }: FitSets,
  only?: 'features',
): Promise<Architecture> {
  const { influenceModel: config, seed } = job.run.record.config;
  const { sequenceLength, tokenizer } = corpus.index;
  const { vocabularySize } = tokenizer;
  const ngrams = only ? undefined : { sequenceLength, vocabularySize, buckets: config.buckets };
  const input = await openInput(job, corpus, job.stage, ngrams);
  // The linear part of another architecture must not have seen the rows by which that architecture's epoch is chosen.
  const current = only ? fit : concatenated(fit, validation);
  const { rows, labels } = concatenated(current, earlier);
  const enough = current.rows.length >= LEAST_TO_CHOOSE;
  const folds = dealFolds(rows, documentsOf, FOLDS, new CounterRandom(seed, STREAM.ridgeSplit, job.stage));
  const model = fitRidge(await input.blocks(rows), labels, {
    penalties: (enough ? PENALTIES : [1]).map((each) => each * rows.length),
    relativePenalties: Object.fromEntries(
      config.features.map((name) => [name, enough ? RELATIVE_PENALTIES[name]! : [1]]),
    ),
    chooseBy: current.rows.length,
    folds: rows.length < MANY_LABELS ? folds : folds.slice(0, 1),
  });
  return {
    predictor: new RidgePredictor(input, model),
    flops: rows.length * input.cost,
    fitted: current.rows.length,
    about: { penalty: model.chosen.penalty },
    save: (store, prefix) => putJson(store, `${prefix}/${FILE}`, ridgeFile(model, ngrams)),
  };
}

/** @throws RunError when the stage's model was not fitted. */
export async function loadRidgeModel(job: Job, corpus: Corpus, stage: number): Promise<InfluencePredictor> {
  const undone = 'the influence model was not fitted';
  const key = `${stageLayout(stage).influenceModel}/${FILE}`;
  const file = await getRecord<RidgeFile>(job.run.store, key, 'mates-ridge/1', undone);
  return new RidgePredictor(await openInput(job, corpus, stage, file.ngrams), ridgeModel(file));
}
