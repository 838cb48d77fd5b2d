import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExactProbe } from '../../containers/probe/exact-probe.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { RunError } from '../../core/errors.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { AdamW } from '../../engine/adamw.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import { initialParameters, ParameterSet } from '../../engine/parameters.ts';
import { Trainer } from '../../engine/trainer.ts';
import { randomTokens } from '../engine/support.ts';
import {
  digests,
  emptyGradient,
  plainPassageLoss,
  randomPassages,
  TRAINING,
  tinyModel,
  trainedCheckpoint,
} from './support.ts';

const LENGTH = 12;
const model = await tinyModel();
const passages = randomPassages(7);
const reference = new PassageSet(model, passages, 3);
const documents = Array.from({ length: 5 }, (_, i) => randomTokens(LENGTH, model.shape.vocabularySize, 30 + i));

const probeOf = (checkpoint: Checkpoint, config = TRAINING) =>
  ExactProbe.create(model, checkpoint, reference, {
    clipNorm: config.clipNorm,
    learningRate: trunkLearningRate(config, checkpoint.optimizer.step),
  });

describe('the exact probe', () => {
  it("never writes to the checkpoint's weights, moments or step", async () => {
    const checkpoint = trainedCheckpoint(model);
    const before = digests(checkpoint);
    const probe = await probeOf(checkpoint);
    for (let i = 0; i < 20; i++) await probe.influence(documents[i % documents.length]!);
    expect(digests(checkpoint)).toEqual(before);
  });

  it("does not write to the document's tokens", async () => {
    const tokens = documents[0]!.slice();
    await (await probeOf(trainedCheckpoint(model))).influence(tokens);
    expect(tokens).toEqual(documents[0]);
  });

  it('gives the same bits in any order, after any other probes, and to a new worker', async () => {
    const alone = await Promise.all(
      documents.map(async (tokens) => (await probeOf(trainedCheckpoint(model))).influence(tokens)),
    );
    const shared = await probeOf(trainedCheckpoint(model));
    const orders = fc.array(fc.nat(documents.length - 1), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        for (const i of order) expect(await shared.influence(documents[i]!)).toEqual(alone[i]);
      }),
      { numRuns: 15 },
    );
    expect(new Set(alone.map(({ influence }) => influence)).size).toBe(documents.length);
  });

  it.each([
    ['clipped', { clipNorm: 0.5 }, true],
    ['not clipped', { clipNorm: 1e6 }, false],
    ['in the warm-up', { warmupSteps: 20 }, true],
    ['without weight decay', { weightDecay: 0 }, true],
  ])('equals one step of AdamW by hand and the plain loss, %s', async (_, change, clips) => {
    const config = { ...TRAINING, ...change };
    const checkpoint = trainedCheckpoint(model, config);
    const probe = await probeOf(checkpoint, config);
    expect(probe.baseline).toBeCloseTo(await plainPassageLoss(model, checkpoint.parameters, passages), 6);
    for (const tokens of documents) {
      const { loss, influence } = await probe.influence(tokens);
      const { weights, norm } = await stepByHand(model, checkpoint, tokens, config);
      expect(norm > config.clipNorm).toBe(clips); // otherwise this would test nothing
      const expected = await plainPassageLoss(model, weights, passages);
      expect(Math.abs(loss - expected)).toBeLessThan(1e-6);
      expect(influence).toBe(loss - probe.baseline);
      expect(Math.abs(influence)).toBeGreaterThan(1e-5);
    }
  });

  it('is what the optimizer does when the step is taken for real', async () => {
    const checkpoint = trainedCheckpoint(model);
    const { loss } = await (await probeOf(checkpoint)).influence(documents[0]!);
    const { parameters, optimizer } = trainedCheckpoint(model);
    const row = { ...TRAINING, batchRows: 1, microBatchRows: 1 };
    await new Trainer(model, row, parameters, optimizer).step(documents[0]!, LENGTH, TRAINING.learningRate);
    expect(await reference.loss(parameters)).toBe(loss);
  });

  it('finds that a document of the reference set lowers the reference loss, and more than others do', async () => {
    const sequences = Array.from({ length: 4 }, (_, i) => countingBy(i + 2));
    const set: Passage[] = sequences.map((tokens) => ({ tokens: Array.from(tokens), firstTarget: 1 }));
    const checkpoint = await pretrained(model);
    const probe = await ExactProbe.create(model, checkpoint, new PassageSet(model, set), TRAINING);
    const mean = async (rows: Int32Array[]) => {
      let sum = 0;
      for (const tokens of rows) sum += (await probe.influence(tokens)).influence;
      return sum / rows.length;
    };
    const own = await mean(sequences);
    expect(own).toBeLessThan(0);
    expect(own).toBeLessThan(await mean(documents));
  });

  it('refuses a reference loss that is not a number, and leaves the checkpoint as it was', async () => {
    const checkpoint = trainedCheckpoint(model);
    const before = digests(checkpoint);
    const probe = await probeOf(checkpoint, { ...TRAINING, learningRate: 1e38 });
    await expect(probe.influence(documents[0]!)).rejects.toThrow(RunError);
    await expect(probe.influence(documents[0]!)).rejects.toThrow(/pretrain\.learningRate/);
    expect(digests(checkpoint)).toEqual(before);
  });
});

/**
 * AdamW as its paper has it (Loshchilov and Hutter 2019, algorithm 2), in float64 on a copy, after clipping to the
 * global norm; the learning rate is the trunk's, linear in the warm-up.
 */
async function stepByHand(
  model: LanguageModel,
  { parameters, optimizer }: Checkpoint,
  tokens: Int32Array,
  config: RunConfig['pretrain'],
): Promise<{ weights: ParameterSet; norm: number }> {
  const gradient = emptyGradient(model);
  await model.lossAndGradient(parameters, { batch: 1, length: tokens.length, tokens }, gradient);
  const norm = Math.sqrt(gradient.flat.reduce((sum, g) => sum + g * g, 0));
  const scale = norm > config.clipNorm ? config.clipNorm / norm : 1;
  const t = optimizer.step + 1;
  const rate = config.learningRate * Math.min(1, t / config.warmupSteps);
  const weights = parameters.flat.map((weight, i) => {
    const g = gradient.flat[i]! * scale;
    const m = config.beta1 * optimizer.m[i]! + (1 - config.beta1) * g;
    const v = config.beta2 * optimizer.v[i]! + (1 - config.beta2) * g * g;
    const update = m / (1 - config.beta1 ** t) / (Math.sqrt(v / (1 - config.beta2 ** t)) + config.epsilon);
    return weight - rate * (update + config.weightDecay * weight);
  });
  return { weights: new ParameterSet(model.specs, weights), norm };
}

/** 0, n, 2n, ... modulo the vocabulary: something to learn. */
function countingBy(n: number): Int32Array {
  return Int32Array.from({ length: LENGTH }, (_, i) => (i * n) % model.shape.vocabularySize);
}

/** A model after ten real steps on random rows: its moments are those of a training. */
async function pretrained(model: LanguageModel): Promise<Checkpoint> {
  const parameters = initialParameters(model.specs, 4);
  const optimizer = new AdamW(parameters.flat.length, TRAINING);
  const trainer = new Trainer(model, TRAINING, parameters, optimizer);
  for (let step = 0; step < 10; step++) {
    const rows = randomTokens(TRAINING.batchRows * LENGTH, model.shape.vocabularySize, 50 + step);
    await trainer.step(rows, LENGTH, TRAINING.learningRate);
  }
  return { shape: model.shape, contextLength: LENGTH, parameters, optimizer, state: { step: 10, tokens: 0 } };
}
