/** What the models give as a whole: larger than what anything but a comparison asks of them. */
import * as tf from '@tensorflow/tfjs-core';
import type { DocumentBatch } from '../../core/tokenizer/encoder-input.ts';
import { type BertShape, bertEmbedding, bertPrediction, bertSpecs } from '../../engine/bert/bert.ts';
import { type DecoderShape, decoderHiddenStates, decoderSpecs, headOf } from '../../engine/decoder/decoder.ts';
import type { TokenBatch } from '../../engine/decoder/language-model.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { Runtime } from '../../engine/runtime/runtime.ts';

/** A decoder's logits after every token, [batch * length * vocabularySize]. */
export async function logitsOf(
  runtime: Runtime,
  shape: DecoderShape,
  parameters: ParameterSet,
  { batch, length, tokens }: TokenBatch,
): Promise<Float32Array> {
  const executable = await runtime.compile({
    key: `logits ${batch}x${length} ${JSON.stringify(shape)}`,
    parameters: decoderSpecs(shape),
    inputs: { tokens: { shape: [batch, length], dtype: 'int32' } },
    differentiate: false,
    build: (p, i) => tf.matMul(decoderHiddenStates(shape, p, i.tokens!), headOf(shape, p), false, true),
  });
  return executable.run(parameters, { tokens });
}

/** The masked mean of a BERT's last states, [documents * width]. */
export const embeddingsOf = (runtime: Runtime, shape: BertShape, parameters: ParameterSet, batch: DocumentBatch) =>
  ofDocuments(runtime, shape, parameters, batch, bertEmbedding);

/** Predictions by the graph that the influence model is fitted with, [documents]. */
export const predictionsOf = (runtime: Runtime, shape: BertShape, parameters: ParameterSet, batch: DocumentBatch) =>
  ofDocuments(runtime, shape, parameters, batch, bertPrediction);

async function ofDocuments(
  runtime: Runtime,
  shape: BertShape,
  parameters: ParameterSet,
  { documents, chunks, length, tokens, mask }: DocumentBatch,
  build: typeof bertEmbedding,
): Promise<Float32Array> {
  const size = [documents, chunks, length];
  const executable = await runtime.compile({
    key: `${build.name} ${size} ${JSON.stringify(shape)}`,
    parameters: bertSpecs(shape),
    inputs: { tokens: { shape: size, dtype: 'int32' }, mask: { shape: size, dtype: 'float32' } },
    differentiate: false,
    build: (p, i) => build(shape, p, i),
  });
  return executable.run(parameters, { tokens, mask });
}
