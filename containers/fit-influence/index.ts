/**
 * Fits the stage's influence model on the stage's probes: a BERT regressor from a document to its standardised oracle
 * influence. Three disjoint sets of documents: fitted, for early stopping, and for the reported Spearman.
 */
import type { RunConfig } from '../../core/config/schema.ts';
import { InterruptedError, RunError } from '../../core/errors.ts';
import type { InfluenceFit } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { bootstrapInterval, pearson, spearman, standardise } from '../../core/metrics/index.ts';
import { readParquet } from '../../core/parquet.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { getJsonIfPresent, putJson } from '../../core/storage/index.ts';
import { AdamW, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import { loadInfluenceModel, saveInfluenceModel } from '../../engine/bert-checkpoint.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { type InfluenceModel, openInfluenceModel } from '../influence-model.ts';
import { type Job, timed } from '../job.ts';
import { predictInfluence } from '../predict-influence.ts';

/** A probed document: its row and its oracle influence. */
interface Labelled {
  row: number;
  influence: number;
}

export async function run(job: Job): Promise<void> {
  if ((await getJsonIfPresent(job.run.store, stageLayout(job.stage).fit)) !== undefined) return;
  await timed(job, 'fit-influence', () => fitInfluenceModel(job));
}

async function fitInfluenceModel(job: Job): Promise<void> {
  const { store, record } = job.run;
  const config = record.config.influenceModel;
  const { seed } = record.config;
  const layout = stageLayout(job.stage);
  const sets = split(await readProbes(job), config, seed, job.stage);
  const { mean, std } = standardise(sets.fit.map(({ influence }) => influence));
  if (!(std > 0))
    throw new RunError(
      `stage ${job.stage}: all ${sets.fit.length} probed influences are ${mean}, so there is nothing to fit. ` +
        'Raise probe.documents or reference.passages, or check that pretrain.learningRate is not 0.',
    );

  const model = await openInfluenceModel(job.run, await openRunCorpus(job.run));
  const previous = stageLayout(job.stage - 1);
  const hasPrevious = job.stage > 1;
  const start =
    config.warmStart && hasPrevious
      ? (await loadInfluenceModel(store, previous.influenceModel, model.regressor.specs)).parameters
      : await model.initial(seed + job.stage);
  const { parameters, epochs, bestEpoch } = await train(job, model, start, sets, { mean, std });

  const truth = sets.test.map(({ influence }) => influence);
  const testRows = sets.test.map(({ row }) => row);
  const predicted = Array.from(await predictInfluence(model, parameters, testRows, config.batchDocuments));
  const result: InfluenceFit = {
    format: 'mates-influence-fit/1',
    documents: { fit: sets.fit.length, validation: sets.validation.length, test: sets.test.length },
    mean,
    std,
    spearman: spearman(predicted, truth),
    spearmanInterval: bootstrapInterval(predicted, truth, spearman, { seed, stage: job.stage }),
    pearson: pearson(predicted, truth),
    staleSpearman: hasPrevious ? await staleSpearman(job, model, testRows, truth) : undefined,
    epochs,
    bestEpoch,
  };
  await saveInfluenceModel(store, layout.influenceModel, { shape: model.shape, parameters, mean, std });
  await putJson(store, layout.fit, result); // last: it marks the model as whole
}

/** All probes of the stage, in order of row, whichever job measured them. */
async function readProbes(job: Job): Promise<Labelled[]> {
  const plan = await readPlan(job.run, job.stage);
  const labelled: Labelled[] = [];
  for (let index = 0; index < plan.probeItems; index++) {
    const key = stageLayout(job.stage).probe(index);
    const columns = await readParquet({ store: job.run.store, key }, { row: 'INT64', influence: 'DOUBLE' });
    columns.row.forEach((row, i) => {
      labelled.push({ row, influence: columns.influence[i]! });
    });
  }
  return labelled.sort((a, b) => a.row - b.row);
}

interface Sets {
  fit: Labelled[];
  validation: Labelled[];
  test: Labelled[];
}

function split(labelled: Labelled[], config: RunConfig['influenceModel'], seed: number, stage: number): Sets {
  const order = permutation(labelled.length, new CounterRandom(seed, STREAM.influenceSplit, stage));
  const shuffled = Array.from(order, (i) => labelled[i]!);
  const test = Math.max(2, Math.round(config.testFraction * labelled.length));
  const validation = Math.max(2, Math.round(config.validationFraction * labelled.length));
  if (labelled.length < test + validation + 2)
    throw new RunError(`${labelled.length} probes are too few to fit, stop early and test on; raise probe.documents.`);
  return {
    test: shuffled.slice(0, test),
    validation: shuffled.slice(test, test + validation),
    fit: shuffled.slice(test + validation),
  };
}

/** Trains with a linearly decaying rate and keeps the epoch with the best Spearman on the validation documents. */
async function train(
  job: Job,
  model: InfluenceModel,
  start: ParameterSet,
  sets: Sets,
  scale: { mean: number; std: number },
): Promise<{ parameters: ParameterSet; epochs: InfluenceFit['epochs']; bestEpoch: number }> {
  const config = job.run.record.config.influenceModel;
  const { seed } = job.run.record.config;
  const { batchDocuments } = config;
  const parameters = start.clone();
  const gradient = parameters.sibling();
  // Betas and epsilon of BERT fine-tuning (Devlin et al. 2019, appendix A.2).
  const optimizer = AdamW.beside(parameters.flat, {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: config.weightDecay,
  });
  const batches = Math.ceil(sets.fit.length / batchDocuments);
  const steps = batches * config.epochs;
  const validationRows = sets.validation.map(({ row }) => row);
  const validationTruth = sets.validation.map(({ influence }) => influence);
  let best = { parameters: parameters.clone(), epoch: 0, spearman: Number.NEGATIVE_INFINITY };
  const epochs: InfluenceFit['epochs'] = [];

  for (let epoch = 1; epoch <= config.epochs; epoch++) {
    const order = permutation(
      sets.fit.length,
      new CounterRandom(seed, STREAM.influenceOrder, job.stage * 1000 + epoch),
    );
    let sum = 0;
    for (let b = 0; b < batches; b++) {
      if (job.signal.aborted) throw new InterruptedError(`the influence model of stage ${job.stage} starts over.`);
      const step = (epoch - 1) * batches + b;
      const documents = Array.from(order.subarray(b * batchDocuments, (b + 1) * batchDocuments), (i) => sets.fit[i]!);
      const batch = await model.encode(
        documents.map(({ row }) => row),
        batchDocuments,
      );
      const labels = new Float32Array(batchDocuments);
      const weights = new Float32Array(batchDocuments); // those that fill up the batch weigh nothing
      documents.forEach(({ influence }, i) => {
        labels[i] = (influence - scale.mean) / scale.std;
        weights[i] = 1 / documents.length;
      });
      const random = new CounterRandom(seed, STREAM.dropout, job.stage * 1_000_000 + step);
      const dropout =
        config.dropout > 0 ? { rate: config.dropout, random: (i: number) => random.uniform(i) } : undefined;
      const loss = await model.regressor.lossAndGradient(parameters, { ...batch, labels, weights }, dropout, gradient);
      if (!Number.isFinite(loss))
        throw new RunError(`the influence model's loss is ${loss} at step ${step}; lower influenceModel.learningRate.`);
      const clip = clipCoefficient(globalNorm(gradient.flat), 1);
      optimizer.apply(parameters.flat, gradient.flat, config.learningRate * (1 - step / steps), clip);
      sum += loss * documents.length;
      job.progress({
        step: 'Fit the influence model',
        done: step + 1,
        total: steps,
        unit: 'steps',
        note: `validation Spearman ${best.epoch ? best.spearman.toFixed(2) : '-'}`,
      });
    }
    const predicted = Array.from(await predictInfluence(model, parameters, validationRows, batchDocuments));
    const validationSpearman = spearman(predicted, validationTruth);
    epochs.push({ epoch, trainLoss: sum / sets.fit.length, validationSpearman });
    if (validationSpearman > best.spearman)
      best = { parameters: parameters.clone(), epoch, spearman: validationSpearman };
  }
  return { parameters: best.parameters, epochs, bestEpoch: best.epoch };
}

/** How well the previous stage's model predicts this stage's oracle: the drift that makes refitting worthwhile. */
async function staleSpearman(job: Job, model: InfluenceModel, rows: number[], truth: number[]): Promise<number> {
  const previous = stageLayout(job.stage - 1).influenceModel;
  const { parameters } = await loadInfluenceModel(job.run.store, previous, model.regressor.specs);
  const { batchDocuments } = job.run.record.config.influenceModel;
  return spearman(Array.from(await predictInfluence(model, parameters, rows, batchDocuments)), truth);
}
