/** The two probes that need only forward passes. */
import { describe, expect, it } from 'vitest';
import { DirectionalProbe } from '../../containers/probe/directional-probe.ts';
import { LookaheadProbe } from '../../containers/probe/lookahead-probe.ts';
import { readParquet } from '../../core/parquet.ts';
import { planStage } from '../../core/plan/stage-plan.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { randomTokens } from '../engine/support.ts';
import {
  digests,
  emptyGradient,
  randomPassages,
  TinyRun,
  tinyConfig,
  tinyModel,
  trainedCheckpoint,
} from './support.ts';

const LENGTH = 12;
const config = tinyConfig();
const model = await tinyModel();
const passages = randomPassages(8);
const reference = new PassageSet(model, passages, 3);
const documents = Array.from({ length: 6 }, (_, i) => randomTokens(LENGTH, model.shape.vocabularySize, 30 + i));
const randomRows = Int32Array.from(
  Array.from({ length: 9 }, (_, i) => [...randomTokens(LENGTH, model.shape.vocabularySize, 60 + i)]).flat(),
);

const directional = (checkpoint = trainedCheckpoint(model)) =>
  DirectionalProbe.create(model, checkpoint, reference, config);
const lookahead = (checkpoint = trainedCheckpoint(model)) =>
  LookaheadProbe.create(model, checkpoint, passages, randomRows, LENGTH, config);

describe.each([
  ['directional', directional],
  ['lookahead', lookahead],
] as const)('the %s probe', (_, open) => {
  it('never writes to the checkpoint, and gives the same bits in any order and in a new worker', async () => {
    const checkpoint = trainedCheckpoint(model);
    const before = digests(checkpoint);
    const probe = await open(checkpoint);
    const forwards = [];
    for (const tokens of documents) forwards.push(await probe.influence(tokens));
    const backwards = [];
    for (const tokens of documents.toReversed()) backwards.unshift(await probe.influence(tokens));
    expect(backwards).toEqual(forwards);
    expect(await (await open()).influence(documents[3]!)).toEqual(forwards[3]);
    expect(digests(checkpoint)).toEqual(before);
    expect(new Set(forwards.map(({ influence }) => influence)).size).toBe(documents.length);
  });
});

describe('the directional probe', () => {
  it("is the product of the preconditioned reference gradient with the document's, times minus the rate", async () => {
    const checkpoint = trainedCheckpoint(model);
    const { parameters, optimizer } = checkpoint;
    const direction = emptyGradient(model);
    await reference.gradient(parameters, direction);
    const { beta2, epsilon } = config.pretrain;
    direction.flat.forEach((g, i) => {
      direction.flat[i] = g / (Math.sqrt(optimizer.v[i]! / (1 - beta2 ** optimizer.step)) + epsilon);
    });
    direction.view('gpt_neox.embed_in.weight').fill(0);
    const probe = await directional(checkpoint);
    for (const tokens of documents) {
      const gradient = emptyGradient(model);
      const weights = new Float32Array(LENGTH - 1).fill(1 / (LENGTH - 1));
      await model.lossAndGradient(parameters, { batch: 1, length: LENGTH, tokens, weights }, gradient);
      const product = gradient.flat.reduce((sum, g, i) => sum + g * direction.flat[i]!, 0);
      const expected = -trunkLearningRate(config.pretrain, optimizer.step) * product;
      const { influence } = await probe.influence(tokens);
      expect(Math.abs(influence - expected)).toBeLessThan(0.03 * Math.abs(expected) + 1e-5);
    }
  });

  it('needs the gradient of the whole reference set, whatever the batches', async () => {
    const { parameters } = trainedCheckpoint(model);
    const [whole, parts] = [new ParameterSet(model.specs), new ParameterSet(model.specs)];
    await new PassageSet(model, passages, 8).gradient(parameters, whole);
    await new PassageSet(model, passages, 3).gradient(parameters, parts);
    const scale = Math.max(...whole.flat.map(Math.abs));
    whole.flat.forEach((g, i) => {
      expect(Math.abs(g - parts.flat[i]!)).toBeLessThan(1e-5 * scale);
    });
  });
});

describe('the lookahead probe', () => {
  it('finds what is like the references more helpful than what is not', async () => {
    // All references say the same thing; half of the documents say it too.
    const said = [...randomTokens(LENGTH, model.shape.vocabularySize, 7)];
    const alike = Array.from({ length: 8 }, () => ({ tokens: said, firstTarget: 1 }));
    const probe = await LookaheadProbe.create(model, trainedCheckpoint(model), alike, randomRows, LENGTH, config);
    const near = await probe.influence(Int32Array.from(said));
    expect(near.influence).toBeLessThan(0);
    for (const tokens of documents) expect(near.influence).toBeLessThan((await probe.influence(tokens)).influence);
  });

  it('refuses a reference set with nothing to hold back', async () => {
    const one = passages.slice(0, 1);
    await expect(
      LookaheadProbe.create(model, trainedCheckpoint(model), one, randomRows, LENGTH, config),
    ).rejects.toThrow(/reference\.passages: 1 are too few/);
  });
});

describe.each(['directional', 'lookahead'] as const)('a run with probe.method %s', (method) => {
  it('measures the same in one job as in several', async () => {
    const measured: Map<number, number>[] = [];
    for (const jobs of [1, 3]) {
      const tiny = await TinyRun.create(tinyConfig({ probe: { method, documents: 12, jobs, flushEvery: 2 } }));
      await tiny.prepare();
      await tiny.stage(0);
      const { probeItems } = planStage(tiny.run.record.config, (await openRunCorpus(tiny.run)).index, 1);
      await tiny.stage(1);
      const found = new Map<number, number>();
      for (let item = 0; item < probeItems; item++) {
        const key = `stages/1/probes/0000${item}.parquet`;
        const columns = await readParquet({ store: tiny.store, key }, { row: 'INT64', influence: 'DOUBLE' });
        columns.row.forEach((row, i) => {
          found.set(row, columns.influence[i]!);
        });
      }
      measured.push(found);
      await tiny.remove();
    }
    expect(measured[0]!.size).toBe(12);
    expect(measured[1]).toEqual(measured[0]);
  });
});
