/** The labels, rates and weights that a fit of the influence model uses. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BertPredictor } from '../../containers/influence-model/bert.ts';
import { openEncoder } from '../../containers/influence-model/encoder.ts';
import { loadPredictorOf } from '../../containers/influence-model/influence-model.ts';
import { earlierProbes, readProbes } from '../../containers/influence-model/labelled.ts';
import { loadRidgeModel } from '../../containers/influence-model/ridge.ts';
import { splitLabelled } from '../../containers/influence-model/split.ts';
import type { InfluenceFit } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { spearman } from '../../core/metrics/index.ts';
import { readParquet, writeParquet } from '../../core/parquet.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { getJson } from '../../core/storage/index.ts';
import { AdamW, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { loadInfluenceModel } from '../../engine/files/bert-checkpoint.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { TinyRun, tinyConfig } from './support.ts';

afterEach(() => vi.restoreAllMocks());

/** A run up to the probes of stage 1. */
async function probed(influenceModel: Record<string, unknown>): Promise<TinyRun> {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const tiny = await TinyRun.create(
    tinyConfig({ influenceModel, probe: { documents: 60, jobs: 1, method: 'directional' } }),
  );
  await tiny.prepare();
  await tiny.stage(0);
  const plan = await tiny.plan(1);
  await (await import('../../containers/prepare-probe/index.ts')).run(tiny.job(1));
  await tiny.probe(1, { index: 0, begin: 0, end: plan.probes });
  return tiny;
}

const fitStage = async (tiny: TinyRun) => {
  await tiny.store.delete(stageLayout(1).scorer);
  await (await import('../../containers/fit-influence/index.ts')).run(tiny.job(1));
  return getJson<InfluenceFit>(tiny.store, stageLayout(1).fit);
};

/** The three sets of stage 1, as the job deals them. */
async function setsOf(tiny: TinyRun) {
  const { influenceModel, seed } = tiny.run.record.config;
  const labelled = await readProbes(tiny.job(1), await readPlan(tiny.run, 1));
  const corpus = await openRunCorpus(tiny.run);
  const documents = await corpus.documents(labelled.map(({ row }) => row));
  const byRow = new Map(labelled.map(({ row }, i) => [row, documents[i]!]));
  return splitLabelled(
    labelled,
    (row) => byRow.get(row)!,
    influenceModel,
    new CounterRandom(seed, STREAM.influenceSplit, 1),
  );
}

async function label(tiny: TinyRun, influenceOf: (row: number, influence: number) => number): Promise<void> {
  const key = stageLayout(1).probe(0);
  const { row, influence } = await readParquet({ store: tiny.store, key }, { row: 'INT64', influence: 'DOUBLE' });
  const data = row.map((one, i) => influenceOf(one, influence[i]!));
  await tiny.store.put(
    key,
    writeParquet([
      { name: 'row', type: 'INT64', data: row },
      { name: 'influence', type: 'DOUBLE', data },
    ]),
  );
}

it('a BERT from scratch starts from the seeded weights of its stage', async () => {
  const tiny = await probed({ ...tinyConfig().influenceModel, learningRate: 1e-30 }); // keeps what it starts from
  await fitStage(tiny);
  const { regressor } = await openEncoder(tiny.run, await openRunCorpus(tiny.run));
  const { parameters } = await loadInfluenceModel(tiny.store, stageLayout(1).influenceModel, regressor.specs);
  const { seed } = tiny.run.record.config;
  const initial = initialParameters(regressor.specs, { seed, stream: STREAM.influenceWeights, stage: 1 });
  expect(Math.max(...parameters.flat.map((w, i) => Math.abs(w - initial.flat[i]!)))).toBeLessThan(1e-20);
});

it('a BERT is fitted at a rate that falls to zero, and its best epoch is kept', async () => {
  const tiny = await probed({
    ...tinyConfig().influenceModel,
    epochs: 4,
    batchDocuments: 16,
    learningRate: 3e-3,
    validationFraction: 0.4,
  });
  const random = new CounterRandom(1, 1000);
  await label(tiny, (row) => random.normal(row));
  const apply = vi.spyOn(AdamW.prototype, 'apply');
  const { epochs, bestEpoch } = await fitStage(tiny);
  const rates = apply.mock.calls.map(([, , rate]) => rate);
  expect(rates.length).toBeGreaterThan(4);
  rates.forEach((rate, t) => {
    expect(rate).toBeCloseTo(3e-3 * (1 - t / rates.length), 12);
  });
  const found = epochs!.map(({ validationSpearman }) => validationSpearman);
  expect(new Set(found).size).toBeGreaterThan(1); // otherwise this would test nothing
  expect(bestEpoch).toBe(found.indexOf(Math.max(...found)) + 1);
  const { validation } = await setsOf(tiny);
  const corpus = await openRunCorpus(tiny.run);
  const predicted = await (await loadPredictorOf(tiny.job(1), corpus, 1, 16)).predict(validation.map(({ row }) => row));
  expect(
    spearman(
      Array.from(predicted),
      validation.map(({ influence }) => influence),
    ),
  ).toBe(Math.max(...found));
});

it('a BERT is fitted to other batches in each epoch and with other dropout in each step, by clipped and decayed steps', async () => {
  const [batchDocuments, weightDecay] = [16, 0.03];
  const tiny = await probed({ ...tinyConfig().influenceModel, epochs: 3, batchDocuments, weightDecay });
  const random = new CounterRandom(1, 1000);
  await label(tiny, (row) => random.normal(row));
  const steps: { labels: number[]; weights: number[]; drawn: number | undefined }[] = [];
  const { lossAndGradient } = InfluenceRegressor.prototype;
  vi.spyOn(InfluenceRegressor.prototype, 'lossAndGradient').mockImplementation(function (
    this: InfluenceRegressor,
    ...[parameters, batch, dropout, gradient]: Parameters<typeof lossAndGradient>
  ) {
    const [labels, weights] = [Array.from(batch.labels), Array.from(batch.weights)];
    steps.push({ labels, weights, drawn: dropout?.random(0) });
    return lossAndGradient.call(this, parameters, batch, dropout, gradient);
  });
  const { apply } = AdamW.prototype;
  const clips: { applied: number | undefined; wanted: number; weightDecay: number }[] = [];
  vi.spyOn(AdamW.prototype, 'apply').mockImplementation(function (
    this: AdamW,
    ...[parameters, gradient, rate, clip]: Parameters<typeof apply>
  ) {
    const wanted = clipCoefficient(globalNorm(gradient), 1);
    clips.push({ applied: clip, wanted, weightDecay: this.options.weightDecay });
    apply.call(this, parameters, gradient, rate, clip);
  });
  const { documents } = await fitStage(tiny);

  const perEpoch = Math.ceil(documents.fit / batchDocuments);
  const rest = documents.fit % batchDocuments;
  expect(rest).toBeGreaterThan(0); // otherwise the last batch would be a full one
  expect(steps).toHaveLength(3 * perEpoch);
  const epochs = [0, 1, 2].map((epoch) =>
    steps
      .slice(epoch * perEpoch, (epoch + 1) * perEpoch)
      .flatMap(({ labels, weights }) => labels.filter((_, i) => weights[i]! > 0)),
  );
  for (const epoch of epochs) expect(epoch.toSorted()).toEqual(epochs[0]!.toSorted());
  expect(new Set(epochs.map(String)).size).toBe(3);
  for (const { weights } of steps) expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
  expect(steps[perEpoch - 1]!.weights.filter((weight) => weight > 0)).toHaveLength(rest);
  expect(new Set(steps.map(({ drawn }) => drawn)).size).toBe(steps.length);
  expect(steps[0]!.drawn).toBeTypeOf('number');
  for (const { applied, wanted, weightDecay: decay } of clips) expect([applied, decay]).toEqual([wanted, weightDecay]);
  expect(Math.min(...clips.map(({ wanted }) => wanted))).toBeLessThan(1); // otherwise the clip would not show
});

it('a BERT with features adds what it predicts, in the units of the residuals, to the linear part', async () => {
  const tiny = await probed({ ...tinyConfig().influenceModel, features: ['loss'] });
  await fitStage(tiny);
  const corpus = await openRunCorpus(tiny.run);
  const { influenceModel: prefix } = stageLayout(1);
  const rows = [0, 3, 9, 20];
  const whole = await (await loadPredictorOf(tiny.job(1), corpus, 1, 8)).predict(rows);
  const linear = await (await loadRidgeModel(tiny.job(1), corpus, 1)).predict(rows);
  const encoder = await openEncoder(tiny.run, corpus);
  const { parameters, mean, std } = await loadInfluenceModel(tiny.store, prefix, encoder.regressor.specs);
  const rest = await new BertPredictor(encoder, parameters, 8).predict(rows);
  rows.forEach((_, i) => {
    expect(whole[i]).toBeCloseTo(linear[i]! + mean + std * rest[i]!, 5);
  });
});

it("the linear part of a BERT does not see the rows that the BERT's epoch is chosen by", async () => {
  const tiny = await probed({ ...tinyConfig().influenceModel, features: ['loss'] });
  await fitStage(tiny);
  const ridge = () => tiny.store.get(`${stageLayout(1).influenceModel}/ridge.json`);
  const before = await ridge();
  const held = new Set((await setsOf(tiny)).validation.map(({ row }) => row));
  await label(tiny, (row, influence) => (held.has(row) ? 10 * influence + 1 : influence));
  await fitStage(tiny);
  expect(await ridge()).toEqual(before);
});

it('a model whose interval includes zero is weak, however low the least Spearman is', async () => {
  const tiny = await probed({ architecture: 'ngram', buckets: 2048, minimumSpearman: -1 });
  const random = new CounterRandom(2, 1000);
  await label(tiny, (row) => random.normal(row));
  const {
    spearmanInterval: [low, high],
    weak,
  } = await fitStage(tiny);
  expect(low * high).toBeLessThan(0); // otherwise this would test nothing
  expect(weak).toMatch(/the interval includes zero/);
});

describe('probes of an earlier stage', () => {
  it("are in that stage's own standard deviations", async () => {
    const tiny = await probed({ architecture: 'ngram', buckets: 2048 });
    const { mean, std } = await fitStage(tiny);
    const [found, ...more] = await earlierProbes(tiny.job(2), 1);
    expect([found!.stage, more]).toEqual([1, []]);
    const probes = await readProbes(tiny.job(1), await readPlan(tiny.run, 1));
    expect(found!.rows).toEqual(probes.map(({ row }) => row));
    probes.forEach(({ influence }, i) => {
      expect(found!.labels[i]).toBeCloseTo((influence - mean) / std, 9);
    });
  });
});
