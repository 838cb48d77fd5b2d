import { beforeAll, describe, expect, it } from 'vitest';
import { InfluenceRegressor, type LabelledBatch } from '../../engine/bert/influence-regressor.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { LanguageModel, type TokenBatch } from '../../engine/decoder/language-model.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime, type Runtime } from '../../engine/runtime/runtime.ts';
import {
  documentBatch,
  OTHER_GPT,
  OTHER_LLAMA,
  QUERY_KEY_NORM,
  randomParameters,
  relativeDifferences,
  TINY_BERT,
  TINY_GPT,
  TINY_LLAMA,
  tokenBatch,
  uniforms,
} from './support.ts';

let onnx: Runtime;
let reference: Runtime;

beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 1 });
  reference = await createRuntime('tfjs-cpu');
});

type LossAndGradient = (parameters: ParameterSet, gradient: ParameterSet) => Promise<number>;

function decoderLoss(runtime: Runtime, shape: DecoderShape): { specs: LanguageModel['specs']; loss: LossAndGradient } {
  const model = new LanguageModel(runtime, shape);
  const batch = tokenBatch(2, 7, shape.vocabularySize);
  return { specs: model.specs, loss: (parameters, gradient) => model.lossAndGradient(parameters, batch, gradient) };
}

function bertLoss(runtime: Runtime, rate = 0): { specs: LanguageModel['specs']; loss: LossAndGradient } {
  const model = new InfluenceRegressor(runtime, TINY_BERT);
  const documents = documentBatch(6, TINY_BERT.vocabularySize);
  const batch: LabelledBatch = {
    ...documents,
    labels: Float32Array.of(0.5, -1, 2),
    weights: Float32Array.of(1, 0.5, 2),
  };
  const draws = uniforms(10_000);
  const dropout = rate > 0 ? { rate, random: (i: number) => draws[i]! } : undefined;
  return {
    specs: model.specs,
    loss: (parameters, gradient) => model.lossAndGradient(parameters, batch, dropout, gradient),
  };
}

const cases = {
  'GPT-NeoX': (runtime: Runtime) => decoderLoss(runtime, TINY_GPT),
  'GPT-NeoX unlike Pythia': (runtime: Runtime) => decoderLoss(runtime, { ...TINY_GPT, ...OTHER_GPT }),
  Llama: (runtime: Runtime) => decoderLoss(runtime, TINY_LLAMA),
  'Llama with norms of queries and keys': (runtime: Runtime) =>
    decoderLoss(runtime, { ...TINY_LLAMA, ...QUERY_KEY_NORM }),
  'Llama unlike the first': (runtime: Runtime) => decoderLoss(runtime, { ...TINY_LLAMA, ...OTHER_LLAMA }),
  BERT: (runtime: Runtime) => bertLoss(runtime),
  'BERT with dropout': (runtime: Runtime) => bertLoss(runtime, 0.3),
};

/** Compares the gradients of both runtimes, each written over numbers that are none. */
async function expectSameGradients(shape: DecoderShape, batch: TokenBatch) {
  const specs = decoderSpecs(shape);
  const parameters = randomParameters(specs);
  const gradients = await Promise.all(
    [onnx, reference].map(async (runtime) => {
      const gradient = new ParameterSet(specs);
      gradient.flat.fill(Number.NaN);
      await new LanguageModel(runtime, shape).lossAndGradient(parameters, batch, gradient);
      return gradient;
    }),
  );
  for (const [name, difference] of Object.entries(relativeDifferences(gradients[0]!, gradients[1]!)))
    expect(difference, name).toBeLessThan(1e-4);
}

/** Sizes at which the head's gradient is made in other ways: from one product or several, of either factor transposed. */
it.each([
  { vocabularySize: 16, batch: 2, length: 9 },
  { vocabularySize: 128, batch: 2, length: 100 },
  { vocabularySize: 40, batch: 3, length: 201 },
  { vocabularySize: 40, batch: 6, length: 9, microBatches: 3 },
])('an embedding that is the head too has the sum of both gradients, %j', async ({ vocabularySize, ...size }) => {
  const shape = { ...TINY_GPT, vocabularySize, tiedEmbeddings: true };
  await expectSameGradients(shape, { ...tokenBatch(size.batch, size.length, vocabularySize), ...size });
});

it.each([1, 2])(
  'heads that share %d of keys and values have the same gradient where attention is made in several blocks',
  async (keyValueHeads) => {
    const shape = { ...TINY_LLAMA, keyValueHeads, layers: 1 };
    await expectSameGradients(shape, tokenBatch(2, 193, shape.vocabularySize)); // two blocks
  },
);

describe.each(Object.entries(cases))('%s', (_, make) => {
  it('has the same loss and gradient traced to ONNX as on the tfjs CPU backend', async () => {
    const traced = make(onnx);
    const eager = make(reference);
    const parameters = randomParameters(traced.specs);
    const [actual, expected] = [new ParameterSet(traced.specs), new ParameterSet(traced.specs)];
    actual.flat.fill(Number.NaN);
    const loss = await traced.loss(parameters, actual);
    expect(loss / (await eager.loss(parameters, expected))).toBeCloseTo(1, 5);
    for (const [name, difference] of Object.entries(relativeDifferences(actual, expected)))
      expect(difference, name).toBeLessThan(1e-4);
  });

  it('has the gradient that central differences show, along a random direction in each parameter', async () => {
    const { specs, loss } = make(onnx);
    const parameters = randomParameters(specs);
    const gradient = new ParameterSet(specs);
    const value = await loss(parameters, gradient);
    const unused = new ParameterSet(specs);
    const direction = randomParameters(specs, 7);
    for (const { name } of specs) {
      const [weights, along, slope] = [parameters.view(name), direction.view(name), gradient.view(name)];
      const original = weights.slice();
      const norm = Math.hypot(...along);
      const step = 1e-2;
      const shifted = async (sign: number) => {
        for (let i = 0; i < weights.length; i++) weights[i] = original[i]! + (sign * step * along[i]!) / norm;
        return loss(parameters, unused);
      };
      const measured = ((await shifted(1)) - (await shifted(-1))) / (2 * step);
      weights.set(original);
      const expected = slope.reduce((sum, g, i) => sum + (g * along[i]!) / norm, 0);
      // The loss is a float32: its rounding limits a difference quotient to about loss * 1e-7 / step.
      const tolerance = 0.02 * Math.abs(expected) + (Math.abs(value) * 1e-6) / step;
      expect(Math.abs(measured - expected), `${name}: ${measured} against ${expected}`).toBeLessThan(tolerance);
    }
  });
});
