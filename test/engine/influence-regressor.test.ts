import { beforeAll, describe, expect, it } from 'vitest';
import type { DocumentBatch } from '../../core/tokenizer/encoder-input.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime, type Runtime } from '../../engine/runtime/runtime.ts';
import { plainBert } from './plain-models.ts';
import { documentBatch, randomParameters, randomTokens, TINY_BERT, uniforms } from './support.ts';
import { embeddingsOf, predictionsOf } from './whole-outputs.ts';

let onnx: Runtime;
let model: InfluenceRegressor;
let parameters: ParameterSet;
const { vocabularySize: V, width: d } = TINY_BERT;

beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 1 });
  model = new InfluenceRegressor(onnx, TINY_BERT);
  parameters = randomParameters(model.specs);
});

const embed = (batch: DocumentBatch) => embeddingsOf(onnx, TINY_BERT, parameters, batch);
const predict = (batch: DocumentBatch) => predictionsOf(onnx, TINY_BERT, parameters, batch);

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5) {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(tolerance);
}

describe('the encoder', () => {
  it('equals BERT written as plain loops, mean-pooled', async () => {
    const tokens = randomTokens(2 * 7, V);
    const mask = new Float32Array(14).fill(1);
    const batch = { documents: 2, chunks: 1, length: 7, tokens, mask };
    const states = [
      plainBert(TINY_BERT, parameters, [...tokens.slice(0, 7)]),
      plainBert(TINY_BERT, parameters, [...tokens.slice(7)]),
    ];
    const expected = states.flatMap((rows) =>
      Array.from({ length: d }, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / 7),
    );
    for (const runtime of [onnx, await createRuntime('tfjs-cpu')])
      expectClose(await embeddingsOf(runtime, TINY_BERT, parameters, batch), expected);
  });

  it('reads chunks independently and pools over the tokens of all of them', async () => {
    const tokens = randomTokens(2 * 6, V);
    const apart = await embed({
      documents: 2,
      chunks: 1,
      length: 6,
      tokens,
      mask: new Float32Array(12).fill(1),
    });
    const mask = new Float32Array(12).fill(1);
    const together = await embed({ documents: 1, chunks: 2, length: 6, tokens, mask });
    expectClose(
      together,
      Array.from({ length: d }, (_, i) => (apart[i]! + apart[d + i]!) / 2),
    );
  });

  it('does not see padding, whatever its token and length', async () => {
    const batch = documentBatch(6, V);
    const expected = await predict(batch);
    const other = { ...batch, tokens: batch.tokens.map((token, i) => (batch.mask[i] ? token : (token + 5) % V)) };
    expect(await predict(other)).toEqual(expected);

    const longer: DocumentBatch = { ...batch, length: 9, tokens: new Int32Array(54), mask: new Float32Array(54) };
    for (let chunk = 0; chunk < 6; chunk++) {
      longer.tokens.set(batch.tokens.subarray(chunk * 6, chunk * 6 + 6), chunk * 9);
      longer.mask.set(batch.mask.subarray(chunk * 6, chunk * 6 + 6), chunk * 9);
    }
    expectClose(await predict(longer), expected);
  });

  it('has the parameter names of BertModel and a head', () => {
    const shapes = Object.fromEntries(model.specs.map(({ name, shape }) => [name, shape]));
    expect(shapes).toMatchObject({
      'embeddings.word_embeddings.weight': [30, 16],
      'embeddings.position_embeddings.weight': [9, 16],
      'embeddings.token_type_embeddings.weight': [2, 16],
      'embeddings.LayerNorm.weight': [16],
      'encoder.layer.1.attention.self.query.weight': [16, 16],
      'encoder.layer.1.attention.output.dense.bias': [16],
      'encoder.layer.1.attention.output.LayerNorm.bias': [16],
      'encoder.layer.1.intermediate.dense.weight': [24, 16],
      'encoder.layer.1.output.dense.weight': [16, 24],
      'encoder.layer.1.output.LayerNorm.weight': [16],
      'regressor.weight': [1, 16],
      'regressor.bias': [1],
    });
  });
});

describe('predictions', () => {
  it('are the head applied to the pooled vector', async () => {
    const batch = documentBatch(6, V);
    const pooled = await embed(batch);
    const [weight, [bias]] = [parameters.view('regressor.weight'), parameters.view('regressor.bias')];
    const expected = Array.from({ length: 3 }, (_, doc) =>
      weight.reduce((sum, w, i) => sum + w * pooled[doc * d + i]!, bias!),
    );
    expectClose(await predict(batch), expected);
  });
});

it('refuses chunks longer than the position table', async () => {
  const batch = { documents: 1, chunks: 1, length: 10, tokens: new Int32Array(10), mask: new Float32Array(10) };
  const labelled = { ...batch, labels: new Float32Array(1), weights: new Float32Array(1) };
  const loss = model.lossAndGradient(parameters, labelled, undefined, parameters.sibling());
  await expect(loss).rejects.toThrow('the encoder has 9 positions');
  const pieces = { pieces: 1, length: 10, tokens: batch.tokens };
  await expect(model.stateSums(parameters, pieces)).rejects.toThrow('the encoder has 9 positions');
});

describe('the loss', () => {
  const labels = Float32Array.of(0.5, -1, 2);
  const weights = Float32Array.of(1, 0.5, 2);

  it('is the weighted squared error of the predictions', async () => {
    const batch = documentBatch(6, V);
    const predictions = await predict(batch);
    const loss = await model.lossAndGradient(
      parameters,
      { ...batch, labels, weights },
      undefined,
      new ParameterSet(model.specs),
    );
    const expected = predictions.reduce((sum, y, i) => sum + weights[i]! * (y - labels[i]!) ** 2, 0);
    expect(loss / expected).toBeCloseTo(1, 5);
  });

  it('with dropout is a function of the given random numbers alone, and of rate 0 the plain loss', async () => {
    const batch = { ...documentBatch(6, V), labels, weights };
    const draws = uniforms(10_000);
    const gradient = new ParameterSet(model.specs);
    const loss = (rate: number, from: number) =>
      model.lossAndGradient(parameters, batch, { rate, random: (i) => draws[from + i]! }, gradient);
    const plain = await model.lossAndGradient(parameters, batch, undefined, gradient);
    expect((await loss(0, 0)) / plain).toBeCloseTo(1, 5);
    expect(await loss(0.3, 0)).toBe(await loss(0.3, 0));
    expect(await loss(0.3, 0)).not.toBe(await loss(0.3, 5000));
  });

  it('draws masks that are 0 at the rate and keep the mean elsewhere', async () => {
    let given: Record<string, ArrayLike<number>> = {};
    const run = async (_: unknown, inputs: Record<string, ArrayLike<number>>) => {
      given = inputs;
      return Float32Array.of(0);
    };
    const runtime = { name: 'onnx', onGpu: false, compile: async () => ({ run }) } as unknown as Runtime;
    const random = (i: number) => (i % 4 === 0 ? 0.1 : 0.9);
    const batch = { ...documentBatch(6, V), labels, weights };
    await new InfluenceRegressor(runtime, TINY_BERT).lossAndGradient(
      ...([parameters, batch, { rate: 0.25, random }, parameters.sibling()] as const),
    );
    const drawn = [...Array.from(given.dropout!), ...Array.from(given.pooledDropout!)];
    expect(given.dropout).toHaveLength((2 * TINY_BERT.layers + 1) * batch.documents * batch.chunks * d);
    expect(given.pooledDropout).toHaveLength(batch.documents * d);
    expect(drawn).toEqual(drawn.map((_, i) => (i % 4 === 0 ? 0 : Math.fround(4 / 3))));
  });

  it('has a mask of its own after the embeddings, and after both parts of each layer', async () => {
    const batch = { ...documentBatch(6, V), labels, weights };
    const gradient = new ParameterSet(model.specs);
    const size = batch.documents * batch.chunks * d;
    const masks = 2 * TINY_BERT.layers + 1;
    const losses: number[] = [];
    // One mask drops every second channel, and the others drop none; in the last case no mask drops any.
    for (let mask = 0; mask <= masks; mask++) {
      const random = (i: number) => (Math.floor(i / size) === mask && mask < masks && i % 2 === 0 ? 0.01 : 0.99);
      losses.push(await model.lossAndGradient(parameters, batch, { rate: 0.1, random }, gradient));
    }
    expect(new Set(losses).size).toBe(masks + 1);
  });

  it('falls when the parameters follow the gradient', async () => {
    const batch = { ...documentBatch(6, V), labels, weights };
    const weightsNow = parameters.clone();
    const gradient = new ParameterSet(model.specs);
    const first = await model.lossAndGradient(weightsNow, batch, undefined, gradient);
    for (let step = 0; step < 30; step++) {
      const norm = Math.sqrt(gradient.flat.reduce((sum, g) => sum + g * g, 0));
      for (let i = 0; i < gradient.flat.length; i++) weightsNow.flat[i]! -= (0.02 * gradient.flat[i]!) / norm;
      await model.lossAndGradient(weightsNow, batch, undefined, gradient);
    }
    expect(await model.lossAndGradient(weightsNow, batch, undefined, gradient)).toBeLessThan(first / 2);
  });
});
