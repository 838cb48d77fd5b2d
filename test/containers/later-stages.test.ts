/** What a stage after the second takes up: each arm its own checkpoint and rows, and everything that selects the newest checkpoint. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openFeatures } from '../../containers/influence-model/features.ts';
import { modelShape } from '../../containers/model.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { loadCopies, type ProbeRecord } from '../../containers/probe/prepared-probe.ts';
import { openPart } from '../../containers/scorer/open-scorer.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Arm, Evaluation } from '../../core/formats.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { getJson } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import { rowLosses } from '../../engine/decoder/row-passes.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { Trainer } from '../../engine/trainer.ts';
import { plainPassageLoss, TinyRun, tinyConfig, tinyModel } from './support.ts';

const over = (probe: Record<string, unknown>) =>
  tinyConfig({
    pretrain: { ...tinyConfig().pretrain, stages: 3, decaySteps: 0 },
    pools: { holdOut: 0.4 },
    probe: { documents: 30, jobs: 1, ...probe },
    influenceModel: { architecture: 'ngram', features: ['loss'] },
  });

let exact: TinyRun;
let directional: TinyRun;
let corpus: Corpus;
let model: LanguageModel;
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  [exact, directional] = [
    await TinyRun.create(over({ method: 'exact' })),
    await TinyRun.create(over({ method: 'directional' })),
  ];
  for (const tiny of [exact, directional]) {
    await tiny.prepare();
    for (const stage of [0, 1, 2]) await tiny.stage(stage);
  }
  corpus = await openRunCorpus(exact.run);
  model = await tinyModel(modelShape(exact.run.record.config, corpus.index));
});
afterAll(() => vi.restoreAllMocks());

describe.each([
  [0, 'main'],
  [1, 'control'],
  [2, 'main'],
  [2, 'control'],
] as [number, Arm][])('stage %i in the %s arm', (stage, arm) => {
  it("goes on from the arm's own checkpoint, on the arm's own rows, at the rate of the whole run's step", async () => {
    const { config } = exact.run.record;
    const { batchRows } = config.pretrain;
    const plan = await readPlan(exact.run, stage);
    const before = armLayout(stage - 1, stage === 1 ? 'main' : arm).checkpoint;
    const parameters =
      stage === 0
        ? initialParameters(model.specs, config.seed)
        : (await loadCheckpoint(exact.store, before)).parameters;
    const optimizer =
      stage === 0
        ? new AdamW(parameters.flat.length, config.pretrain)
        : (await loadCheckpoint(exact.store, before)).optimizer;
    const { row } = await readParquet({ store: exact.store, key: armLayout(stage, arm).selection }, { row: 'INT64' });
    const order = trainingOrder(row, plan.consumedRows, config.seed, stage);
    const trainer = new Trainer(model, config.pretrain, parameters, optimizer);
    for (let t = 0; t < plan.steps; t++) {
      const tokens = await corpus.tokenRows(order.slice(batchRows * t, batchRows * (t + 1)));
      await trainer.step(tokens, 32, trunkLearningRate(config.pretrain, plan.firstStep + t));
    }
    const saved = await loadCheckpoint(exact.store, armLayout(stage, arm).checkpoint);
    expect(parameters.flat).toEqual(saved.parameters.flat);
    const steps = (stage + 1) * plan.steps; // over all stages
    expect(saved.state).toEqual({ step: steps, tokens: steps * batchRows * 32 });
  });

  it("is measured on the arm's own checkpoint", async () => {
    const { parameters } = await loadCheckpoint(exact.store, armLayout(stage, arm).checkpoint);
    const reference = await loadPassageSet(exact.run, corpus, exact.run.record.config.reference);
    const { referenceLoss } = await getJson<Evaluation>(exact.store, armLayout(stage, arm).evaluation);
    expect(referenceLoss).toBeCloseTo(await plainPassageLoss(model, parameters, reference), 5);
  });
});

describe.each([1, 2])('before stage %i', (stage) => {
  const newest = async (tiny: TinyRun) =>
    (await loadCheckpoint(tiny.store, armLayout(stage - 1, 'main').checkpoint)).parameters;
  const rows = [0, 3, 9, 20, 33];

  it('the exact probe is of the newest checkpoint', async () => {
    const reference = await loadPassageSet(exact.run, corpus, exact.run.record.config.reference);
    const loss = await plainPassageLoss(model, await newest(exact), reference);
    const { baseline } = await readParquet(
      { store: exact.store, key: stageLayout(stage).probe(0) },
      { baseline: 'DOUBLE' },
    );
    for (const one of baseline) expect(one).toBeCloseTo(loss, 5);
  });

  it('the copies of the directional probe lie on both sides of the newest checkpoint', async () => {
    const record = await getJson<ProbeRecord>(directional.store, `${stageLayout(stage).probeModel}/probe.json`);
    const { first, second } = await loadCopies(directional.run, stage, record);
    const { flat } = await newest(directional);
    const furthest = flat.reduce(
      (most, w, i) => Math.max(most, Math.abs((first.flat[i]! + second.flat[i]!) / 2 - w)),
      0,
    );
    expect(furthest).toBeLessThan(1e-6);
  });

  it("a row's loss, as feature and as score, is that of the newest checkpoint", async () => {
    const losses = await rowLosses(model, await newest(exact), await corpus.tokenRows(rows), 32);
    const features = await openFeatures(exact.job(stage), corpus, stage);
    const [block] = await features.blocks(rows);
    const plan = await readPlan(exact.run, stage);
    const score = await (await openPart(exact.job(stage), corpus, plan, 'loss')).utilities(rows);
    rows.forEach((_, i) => {
      expect(block!.values[i]).toBeCloseTo(losses[i]!, 5);
      expect(score[i]).toBeCloseTo(-losses[i]!, 5);
    });
  });
});
