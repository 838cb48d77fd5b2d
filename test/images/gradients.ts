/**
 * Runs in the GPU image: losses and gradients of both models by TensorFlow's library, as tfjs-node-gpu calls it, beside those
 * of the ONNX engine. Without a GPU TensorFlow computes on the CPU, by the same calls. Prints the largest differences, each
 * relative to the largest gradient of its parameter.
 */
import * as tf from '@tensorflow/tfjs-core';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { backendCompiler } from '../../engine/runtime/eager.ts';
import { createRuntime, Runtime } from '../../engine/runtime/runtime.ts';
import {
  documentBatch,
  randomParameters,
  relativeDifferences,
  TINY_BERT,
  TINY_GPT,
  tokenBatch,
} from '../engine/support.ts';

const GPU_PACKAGE = '@tensorflow/tfjs-node-gpu';
await import(GPU_PACKAGE);
await tf.setBackend('tensorflow');
const tensorflow = new Runtime('tfjs-gpu', backendCompiler('tensorflow'));
const onnx = await createRuntime('onnx');

type Gradient = (runtime: Runtime) => Promise<{ loss: number; gradient: ParameterSet }>;

const gpt =
  (microBatches: number): Gradient =>
  async (runtime) => {
    const model = new LanguageModel(runtime, TINY_GPT);
    const gradient = new ParameterSet(model.specs);
    const batch = { ...tokenBatch(4, 9, TINY_GPT.vocabularySize), microBatches };
    return { loss: await model.lossAndGradient(randomParameters(model.specs), batch, gradient), gradient };
  };

const bert: Gradient = async (runtime) => {
  const model = new InfluenceRegressor(runtime, TINY_BERT);
  const gradient = new ParameterSet(model.specs);
  const labels = { labels: Float32Array.of(0.5, -1, 2), weights: Float32Array.of(1, 0.5, 2) };
  const batch = { ...documentBatch(6, TINY_BERT.vocabularySize), ...labels };
  const loss = await model.lossAndGradient(randomParameters(model.specs), batch, undefined, gradient);
  return { loss, gradient };
};

const programs: Record<string, Gradient> = {
  'GPT-NeoX': gpt(1),
  'GPT-NeoX in two micro-batches': gpt(2),
  BERT: bert,
};
const found: Record<string, number> = {};
for (const [name, compute] of Object.entries(programs)) {
  const [actual, expected] = [await compute(tensorflow), await compute(onnx)];
  const gradients = Object.values(relativeDifferences(actual.gradient, expected.gradient));
  found[name] = Math.max(Math.abs(actual.loss / expected.loss - 1), ...gradients);
}
console.log(JSON.stringify(found));
process.exit(0);
