/**
 * Fits, saves and loads the influence model of a stage, whatever its architecture. A BERT with features has two parts:
 * a linear model of the features, and the BERT, which is fitted to the linear model's residuals.
 */
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { standardise } from '../../core/metrics/index.ts';
import { STREAM } from '../../core/random/philox.ts';
import { loadInfluenceModel } from '../../engine/files/bert-checkpoint.ts';
import type { Job } from '../job.ts';
import { BertPredictor, fitBert } from './bert.ts';
import { openEncoder } from './encoder.ts';
import type { Architecture, FitSets, InfluencePredictor, LabelledRows, LabelScale } from './predictor.ts';
import { fitRidgeModel, loadRidgeModel } from './ridge.ts';

/** Fits the configured architecture to labelled rows. */
export async function fitArchitecture(
  job: Job,
  corpus: Corpus,
  sets: FitSets,
  scale: LabelScale,
): Promise<Architecture> {
  const { architecture, features } = job.run.record.config.influenceModel;
  if (architecture === 'ngram') return fitRidgeModel(job, corpus, sets);
  if (features.length === 0) return fitBertModel(job, corpus, sets, scale);
  const linear = await fitRidgeModel(job, corpus, sets, 'features');
  const left = await residuals(linear.predictor, sets);
  const bert = await fitBertModel(job, corpus, left.sets, left.scale);
  const { mean, std } = left.scale;
  return {
    predictor: new SumPredictor(linear.predictor, bert.predictor, mean, std),
    flops: linear.flops + bert.flops,
    fitted: bert.fitted,
    about: { ...bert.about, ...linear.about },
    save: async (store, prefix) => {
      await linear.save(store, prefix);
      await bert.save(store, prefix);
    },
  };
}

async function fitBertModel(job: Job, corpus: Corpus, sets: FitSets, scale: LabelScale): Promise<Architecture> {
  const { influenceModel: config, seed } = job.run.record.config;
  const encoder = await openEncoder(job.run, corpus);
  const previous = stageLayout(job.stage - 1).influenceModel;
  const start =
    config.warmStart && job.stage > 1
      ? (await loadInfluenceModel(job.run.store, previous, encoder.regressor.specs)).parameters
      : await encoder.initial({ seed, stream: STREAM.influenceWeights, stage: job.stage });
  return fitBert(job, encoder, start, sets, scale);
}

/** The residuals that a linear model leaves of the labels, in standard deviations of the residuals. */
async function residuals(
  linear: InfluencePredictor,
  { fit, validation, earlier, documentsOf }: FitSets,
): Promise<{ sets: FitSets; scale: LabelScale }> {
  const left = async ({ rows, labels }: LabelledRows) => {
    const predicted = await linear.predict(rows);
    return rows.map((_, i) => labels[i]! - predicted[i]!);
  };
  const [fitted, held, before] = [await left(fit), await left(validation), await left(earlier)];
  const { mean, std } = standardise(fitted);
  const scale = { mean, std: std > 0 ? std : 1 };
  const scaled = (values: number[]) => values.map((value) => (value - scale.mean) / scale.std);
  return {
    sets: {
      fit: { rows: fit.rows, labels: scaled(fitted) },
      validation: { rows: validation.rows, labels: scaled(held) },
      earlier: { rows: earlier.rows, labels: scaled(before) },
      documentsOf,
    },
    scale,
  };
}

/** The sum of a linear model's prediction and another model's prediction of its residual. */
class SumPredictor implements InfluencePredictor {
  readonly cost: number;
  private readonly linear: InfluencePredictor;
  private readonly rest: InfluencePredictor;
  private readonly mean: number;
  private readonly std: number;

  constructor(linear: InfluencePredictor, rest: InfluencePredictor, mean: number, std: number) {
    this.linear = linear;
    this.rest = rest;
    this.mean = mean;
    this.std = std;
    this.cost = linear.cost + rest.cost;
  }

  get width(): number | undefined {
    return this.rest.width;
  }

  inInt8(): SumPredictor | undefined {
    const rest = this.rest.inInt8?.();
    return rest && new SumPredictor(this.linear, rest, this.mean, this.std);
  }

  async predict(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float32Array> {
    const linear = await this.linear.predict(rows);
    const rest = await this.rest.predict(rows, onBatch);
    return linear.map((value, i) => value + this.mean + this.std * rest[i]!);
  }
}

/** The influence model that a stage scores with, in float32. */
export function loadPredictor(job: Job, corpus: Corpus, plan: StagePlan): Promise<InfluencePredictor> {
  return loadPredictorOf(job, corpus, plan.scorerStage, job.run.record.config.scoring.batchDocuments);
}

/** The influence model that was fitted for a stage. */
export async function loadPredictorOf(
  job: Job,
  corpus: Corpus,
  stage: number,
  batchDocuments: number,
): Promise<InfluencePredictor> {
  const { store, record } = job.run;
  const { architecture, features } = record.config.influenceModel;
  const prefix = stageLayout(stage).influenceModel;
  const linear = architecture === 'ngram' || features.length > 0 ? await loadRidgeModel(job, corpus, stage) : undefined;
  if (architecture === 'ngram') return linear!;
  const encoder = await openEncoder(job.run, corpus);
  const { parameters, mean, std } = await loadInfluenceModel(store, prefix, encoder.regressor.specs);
  const bert = new BertPredictor(encoder, parameters, batchDocuments);
  return linear ? new SumPredictor(linear, bert, mean, std) : bert;
}
