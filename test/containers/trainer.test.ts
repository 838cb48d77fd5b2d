import { describe, expect, it } from 'vitest';
import { RunError } from '../../core/errors.ts';
import { checkFinite, microBatchesAtOnce, Trainer } from '../../engine/trainer.ts';
import { randomTokens } from '../engine/support.ts';
import { digests, emptyGradient, TRAINING, tinyModel, trainedCheckpoint } from './support.ts';

const LENGTH = 12;
const ROWS = 8;
const model = await tinyModel();
const vocabulary = model.shape.vocabularySize;
const tokens = randomTokens(ROWS * LENGTH, vocabulary, 21);

async function stepWith(microBatchRows: number, rows = tokens) {
  const checkpoint = trainedCheckpoint(model);
  const config = { ...TRAINING, batchRows: ROWS, microBatchRows };
  const trainer = new Trainer(model, config, checkpoint.parameters, checkpoint.optimizer);
  const results = [];
  for (let step = 0; step < 3; step++) results.push(await trainer.step(rows, LENGTH, TRAINING.learningRate));
  return { results, checkpoint };
}

const largestDifference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe('a training step', () => {
  it("reports the batch's mean loss and the norm of its gradient before clipping", async () => {
    const { parameters } = trainedCheckpoint(model);
    const gradient = emptyGradient(model);
    const loss = await model.lossAndGradient(parameters, { batch: ROWS, length: LENGTH, tokens }, gradient);
    const norm = Math.sqrt(gradient.flat.reduce((sum, g) => sum + g * g, 0));
    expect(norm).toBeGreaterThan(TRAINING.clipNorm);
    const { results } = await stepWith(ROWS);
    expect(results[0]!.loss).toBeCloseTo(loss, 6);
    expect(results[0]!.gradientNorm / norm).toBeCloseTo(1, 6);
  });

  it('is the step that AdamW makes by the gradient clipped to clipNorm', async () => {
    const { parameters, optimizer } = trainedCheckpoint(model);
    const gradient = emptyGradient(model);
    await model.lossAndGradient(parameters, { batch: ROWS, length: LENGTH, tokens }, gradient);
    const norm = Math.sqrt(gradient.flat.reduce((sum, g) => sum + g * g, 0));
    const clipped = gradient.flat.map((g) => (g * TRAINING.clipNorm) / norm);
    optimizer.apply(parameters.flat, clipped, TRAINING.learningRate);

    const found = trainedCheckpoint(model);
    const config = { ...TRAINING, batchRows: ROWS, microBatchRows: ROWS };
    const trainer = new Trainer(model, config, found.parameters, found.optimizer);
    await trainer.step(tokens, LENGTH, TRAINING.learningRate);
    expect(largestDifference(found.optimizer.m, optimizer.m)).toBeLessThan(1e-6);
    expect(largestDifference(found.parameters.flat, parameters.flat)).toBeLessThan(1e-3 * TRAINING.learningRate);
  });

  it.each([1, 2, 4])('in micro-batches of %i rows is the step of the whole batch, to rounding', async (rows) => {
    const [whole, parts] = [await stepWith(ROWS), await stepWith(rows)];
    whole.results.forEach(({ loss, gradientNorm }, step) => {
      expect(Math.abs(parts.results[step]!.loss - loss)).toBeLessThan(2e-6 * loss);
      expect(Math.abs(parts.results[step]!.gradientNorm - gradientNorm)).toBeLessThan(1e-5 * gradientNorm);
    });
    const [a, b] = [parts.checkpoint, whole.checkpoint];
    expect(a.optimizer.step).toBe(b.optimizer.step);
    expect(largestDifference(a.optimizer.m, b.optimizer.m)).toBeLessThan(1e-6);
    expect(largestDifference(a.optimizer.v, b.optimizer.v)).toBeLessThan(1e-6);
    // a step moves a weight by up to the learning rate; this is a five-hundredth of it
    expect(largestDifference(a.parameters.flat, b.parameters.flat)).toBeLessThan(2e-3 * TRAINING.learningRate);
  });

  it('takes every row into account, whichever micro-batch it is in', async () => {
    const { checkpoint } = await stepWith(2);
    for (let row = 0; row < ROWS; row += 2) {
      const changed = tokens.slice();
      changed[row * LENGTH] = (changed[row * LENGTH]! + 1) % vocabulary;
      const other = (await stepWith(2, changed)).checkpoint;
      expect(largestDifference(other.parameters.flat, checkpoint.parameters.flat)).toBeGreaterThan(1e-6);
    }
  });

  it('is given up between two of its micro-batches, and changes nothing, once its signal is aborted', async () => {
    const stop = new AbortController();
    const stopped = Object.create(model, {
      lossAndGradient: {
        value: (...args: Parameters<typeof model.lossAndGradient>) => {
          runs++;
          setImmediate(() => stop.abort()); // as a signal that comes while the run blocks the thread
          return model.lossAndGradient(...args);
        },
      },
    });
    let runs = 0;
    const checkpoint = trainedCheckpoint(model);
    const before = digests(checkpoint);
    const config = { ...TRAINING, batchRows: ROWS, microBatchRows: 2 };
    const trainer = new Trainer(stopped, config, checkpoint.parameters, checkpoint.optimizer);
    expect(await trainer.step(tokens, LENGTH, TRAINING.learningRate, stop.signal)).toBeUndefined();
    expect(runs).toBe(1);
    expect(digests(checkpoint)).toEqual(before);
  });

  it('gives the same bits every time', async () => {
    expect(digests((await stepWith(2)).checkpoint)).toEqual(digests((await stepWith(2)).checkpoint));
  });

  it.each([
    ['in one batch', ROWS, 'gpt_neox.final_layer_norm.weight', Number.NaN],
    ['in micro-batches', 2, 'gpt_neox.final_layer_norm.weight', Number.NaN],
    ['by overflow', 4, 'embed_out.weight', 3e38],
  ])('whose loss is not a number %s changes nothing and says what to do', async (_, microBatchRows, name, value) => {
    const checkpoint = trainedCheckpoint(model);
    checkpoint.parameters.view(name)[1] = value;
    await refusesWithoutDamage(checkpoint, microBatchRows);
  });

  it('whose gradient alone is not finite is refused too', () => {
    for (const norm of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => checkFinite(6, 2, norm)).toThrow(`step 6: the loss is 2 and the gradient's norm ${norm}.`);
    expect(() => checkFinite(6, 2, 3)).not.toThrow();
    expect(() => checkFinite(1, Number.NaN, 2)).toThrow(
      /^step 1: the loss is NaN .* the weights that it begins with are damaged/,
    );
  });

  it('whose last micro-batch alone is damaged changes nothing either', async () => {
    const rare = vocabulary - 1;
    const rows = tokens.map((token) => (token === rare ? 0 : token));
    rows[rows.length - 3] = rare;
    const checkpoint = trainedCheckpoint(model);
    checkpoint.parameters.view('gpt_neox.embed_in.weight').fill(Number.NaN, rare * model.shape.width);
    await refusesWithoutDamage(checkpoint, 1, rows);
  });
});

async function refusesWithoutDamage(
  checkpoint: ReturnType<typeof trainedCheckpoint>,
  microBatchRows: number,
  rows = tokens,
): Promise<void> {
  const before = digests(checkpoint);
  const config = { ...TRAINING, batchRows: ROWS, microBatchRows };
  const trainer = new Trainer(model, config, checkpoint.parameters, checkpoint.optimizer);
  const attempt = trainer.step(rows, LENGTH, TRAINING.learningRate);
  await expect(attempt).rejects.toThrow(RunError);
  await expect(attempt).rejects.toThrow(/^step 6: .*pretrain\.learningRate/s);
  expect(digests(checkpoint)).toEqual(before);
}

it('a step on a GPU is one run, or equal runs that are short enough for a job to be told to stop between them', () => {
  const shape = { architecture: 'gpt-neox', layers: 24, width: 1024, heads: 16, vocabularySize: 50_304 } as const;
  const times = (batchRows: number, microBatchRows: number, length = 1024) =>
    microBatchesAtOnce(shape as typeof model.shape, { batchRows, microBatchRows }, length);
  expect(times(8, 1)).toBe(8);
  expect(times(512, 8)).toBe(16); // a micro-batch of this 405M model takes 20 TFLOP
  expect(times(512, 8, 512)).toBe(32);
  expect(times(7 * 8, 8)).toBe(7);
  expect(times(31 * 8, 8)).toBe(1); // no other number of equal runs
  expect(times(512, 512)).toBe(1);
});
