/** The influence model that reads text: a BERT regressor, trained on labelled rows and kept at its best epoch. */
import type { RunConfig } from '../../core/config/schema.ts';
import { encoderForwardFlops } from '../../core/cost/flops.ts';
import { RunError, throwIfStopped } from '../../core/errors.ts';
import type { InfluenceFit } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { spearman } from '../../core/metrics/index.ts';
import { mapAhead } from '../../core/parallel.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { AdamW, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import { CPU_BATCH_TOKENS, InfluenceScorer } from '../../engine/bert/influence-scorer.ts';
import { saveInfluenceModel } from '../../engine/files/bert-checkpoint.ts';
import { loadFitState, saveFitState } from '../../engine/files/fit-state.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { Job } from '../job.ts';
import { PartialCheckpoints } from '../partial-checkpoints.ts';
import { type Encoder, encodeRows, rowPieces } from './encoder.ts';
import {
  type Architecture,
  concatenated,
  type FitSets,
  type InfluencePredictor,
  type LabelledRows,
  type LabelScale,
} from './predictor.ts';

/** Rows whose texts are in memory at once: enough for full batches of every length. */
const ROWS_AT_ONCE = 2048;

/** Predictions of one set of weights. */
export class BertPredictor implements InfluencePredictor {
  readonly cost: number;
  private readonly encoder: Encoder;
  private readonly parameters: ParameterSet;
  private readonly batchDocuments: number;
  private readonly scorer: InfluenceScorer;

  constructor(encoder: Encoder, parameters: ParameterSet, batchDocuments: number) {
    this.encoder = encoder;
    this.parameters = parameters;
    this.batchDocuments = batchDocuments;
    const { regressor, chunks, chunkTokens } = encoder;
    const batchTokens = regressor.onGpu ? batchDocuments * chunks * chunkTokens : CPU_BATCH_TOKENS;
    this.scorer = new InfluenceScorer(regressor, parameters, { longest: chunkTokens, batchTokens });
    const { layers, width } = encoder.shape;
    this.cost = chunks * chunkTokens * encoderForwardFlops(layers, width, chunkTokens);
  }

  get width(): number {
    return this.encoder.shape.width;
  }

  inInt8(): BertPredictor | undefined {
    const { regressor } = this.encoder;
    if (!regressor.hasInt8) return undefined;
    return new BertPredictor(this.encoder, regressor.inInt8(this.parameters), this.batchDocuments);
  }

  async predict(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float32Array> {
    const predicted = new Float32Array(rows.length);
    const starts = Array.from({ length: Math.ceil(rows.length / ROWS_AT_ONCE) }, (_, i) => i * ROWS_AT_ONCE);
    // The next rows are read and cut into pieces while the encoder is busy with these.
    const read = (first: number) => rowPieces(this.encoder, rows.slice(first, first + ROWS_AT_ONCE));
    let first = 0;
    for await (const documents of mapAhead(starts, 2, read)) {
      const report = (share: number) => onBatch?.(first + Math.floor(share * documents.length));
      predicted.set(await this.scorer.score(documents, report), first);
      first += documents.length;
    }
    return predicted;
  }
}

/** The state of a fit, apart from its arrays. */
interface Progress {
  /** The sum of the squared errors of the current epoch's documents so far. */
  sum: number;
  best: { epoch: number; spearman: number };
  epochs: NonNullable<InfluenceFit['epochs']>;
}

/** A fit in progress. */
interface Fit {
  job: Job;
  encoder: Encoder;
  fit: LabelledRows;
  arrays: { parameters: ParameterSet; optimizer: AdamW; best: ParameterSet };
  gradient: ParameterSet;
  at: Progress;
  partial: PartialCheckpoints;
}

/**
 * Trains with a linearly decaying rate and keeps the epoch that ranks the validation rows best. If stopped anywhere, it
 * resumes to the same bytes.
 */
export async function fitBert(
  job: Job,
  encoder: Encoder,
  start: ParameterSet,
  { fit: fitted, validation, earlier }: FitSets,
  scale: LabelScale,
): Promise<Architecture> {
  const { influenceModel: config } = job.run.record.config;
  const fit = concatenated(fitted, earlier);
  const state = await newestState(job, start);
  const { arrays, at } = state;
  const current = new BertPredictor(encoder, arrays.parameters, config.batchDocuments);
  for (let epoch = at.epochs.length + 1; epoch <= config.epochs; epoch++) {
    await trainEpoch({ job, encoder, fit, ...state }, epoch);
    const validationSpearman = spearman(Array.from(await current.predict(validation.rows)), validation.labels);
    at.epochs.push({ epoch, trainLoss: at.sum / fit.rows.length, validationSpearman });
    at.sum = 0;
    if (validationSpearman > at.best.spearman) {
      arrays.best.flat.set(arrays.parameters.flat);
      at.best = { epoch, spearman: validationSpearman };
    }
  }
  const predictor = new BertPredictor(encoder, arrays.best, config.batchDocuments);
  return {
    predictor,
    flops: config.epochs * (3 * fit.rows.length + validation.rows.length) * predictor.cost,
    fitted: fitted.rows.length,
    about: { epochs: at.epochs, bestEpoch: at.best.epoch },
    save: (store, prefix) =>
      saveInfluenceModel(store, prefix, { shape: encoder.shape, parameters: arrays.best, ...scale }),
  };
}

/** The last state that an interrupted fit saved, or the initial state of a new fit. */
async function newestState({ run, stage }: Job, start: ParameterSet): Promise<Omit<Fit, 'job' | 'encoder' | 'fit'>> {
  const { influenceModel, pretrain } = run.record.config;
  const parameters = start.clone();
  const gradient = parameters.sibling();
  // Betas and epsilon of BERT fine-tuning (Devlin et al. 2019, appendix A.2).
  const optimizer = AdamW.beside(parameters.flat, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: influenceModel.weightDecay,
  });
  const arrays = { parameters, optimizer, best: parameters.clone() };
  const partial = new PartialCheckpoints(run.store, stageLayout(stage).partialInfluenceModel, pretrain);
  const saved = await partial.newest();
  const at: Progress = saved
    ? await loadFitState<Progress>(run.store, saved, arrays)
    : { sum: 0, best: { epoch: 0, spearman: -2 }, epochs: [] };
  return { arrays, gradient, at, partial };
}

/** Makes the remaining steps of an epoch. */
async function trainEpoch({ job, encoder, fit, arrays, gradient, at, partial }: Fit, epoch: number): Promise<void> {
  const { influenceModel: config, seed } = job.run.record.config;
  const { parameters, optimizer } = arrays;
  const { batchDocuments } = config;
  const batches = Math.ceil(fit.rows.length / batchDocuments);
  const steps = batches * config.epochs;
  const order = permutation(fit.rows.length, new CounterRandom(seed, STREAM.influenceOrder, job.stage * 1000 + epoch));
  for (let b = optimizer.step - (epoch - 1) * batches; b < batches; b++) {
    const { step } = optimizer;
    if (step > 0 && (job.signal.aborted || partial.isDue(step)))
      await partial.save(step, (key) => saveFitState(job.run.store, key, arrays, at));
    throwIfStopped(
      job.signal,
      `The influence model of stage ${job.stage} stopped after step ${step} of ${steps}; it resumes there.`,
    );
    const documents = order.subarray(b * batchDocuments, (b + 1) * batchDocuments);
    const loss = await lossAndGradient(job, encoder, parameters, gradient, { fit, documents, step });
    if (!Number.isFinite(loss))
      throw new RunError(`the influence model's loss is ${loss} at step ${step}; lower influenceModel.learningRate.`);
    const clip = clipCoefficient(globalNorm(gradient.flat), 1);
    optimizer.apply(parameters.flat, gradient.flat, config.learningRate * (1 - step / steps), clip);
    at.sum += loss * documents.length;
    job.progress({
      step: 'Fit the influence model',
      done: step + 1,
      total: steps,
      unit: 'steps',
      note: `validation Spearman ${at.best.epoch ? at.best.spearman.toFixed(2) : '-'}`,
    });
  }
}

/** The mean squared error of a batch, with dropout; documents that only fill the batch up have weight 0. */
async function lossAndGradient(
  job: Job,
  encoder: Encoder,
  parameters: ParameterSet,
  gradient: ParameterSet,
  { fit, documents, step }: { fit: LabelledRows; documents: Uint32Array; step: number },
): Promise<number> {
  const { influenceModel: config, seed } = job.run.record.config;
  const rows = Array.from(documents, (i) => fit.rows[i]!);
  const batch = await encodeRows(encoder, rows, config.batchDocuments);
  const labels = new Float32Array(config.batchDocuments);
  const weights = new Float32Array(config.batchDocuments);
  documents.forEach((document, i) => {
    labels[i] = fit.labels[document]!;
    weights[i] = 1 / documents.length;
  });
  const random = new CounterRandom(seed, STREAM.dropout, job.stage * 1_000_000 + step);
  return encoder.regressor.lossAndGradient(
    parameters,
    { ...batch, labels, weights },
    dropoutOf(config, random),
    gradient,
  );
}

function dropoutOf({ dropout }: RunConfig['influenceModel'], random: CounterRandom) {
  return dropout > 0 ? { rate: dropout, random: (i: number) => random.uniform(i) } : undefined;
}
