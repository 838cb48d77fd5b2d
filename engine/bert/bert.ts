/**
 * BERT's encoder (Devlin et al. 2019) with a regression head. Names and memory layout are those of Hugging Face's
 * `BertModel` (no pooler); the head is `regressor.weight` [1, d] and `regressor.bias` [1].
 */
import * as tf from '@tensorflow/tfjs-core';
import { attention, embedding, feedForward, linear, paddingMask, scaleAndShift, standardize } from '../ops.ts';
import { linearSpecs, normSpecs, type ParameterSpec } from '../parameters.ts';
import type { InputSpec, Tensors } from '../runtime/program.ts';

export interface BertShape {
  layers: number;
  width: number;
  heads: number;
  intermediateWidth: number;
  vocabularySize: number;
  maxPositions: number;
  typeVocabularySize: number;
  layerNormEpsilon: number;
  initializerStd: number;
}

/** The parameters in the order of Hugging Face's state dict, then the head. Linear weights are [out, in]. */
export function bertSpecs(shape: BertShape): ParameterSpec[] {
  const { layers, width: d, intermediateWidth } = shape;
  const init = { std: shape.initializerStd };
  const linear = (name: string, out: number, into: number) => linearSpecs(name, out, into, init);
  const norm = (name: string) => normSpecs(name, d);
  const block = (layer: string): ParameterSpec[] => [
    ...linear(`${layer}.attention.self.query`, d, d),
    ...linear(`${layer}.attention.self.key`, d, d),
    ...linear(`${layer}.attention.self.value`, d, d),
    ...linear(`${layer}.attention.output.dense`, d, d),
    ...norm(`${layer}.attention.output.LayerNorm`),
    ...linear(`${layer}.intermediate.dense`, intermediateWidth, d),
    ...linear(`${layer}.output.dense`, d, intermediateWidth),
    ...norm(`${layer}.output.LayerNorm`),
  ];
  return [
    { name: 'embeddings.word_embeddings.weight', shape: [shape.vocabularySize, d], init },
    { name: 'embeddings.position_embeddings.weight', shape: [shape.maxPositions, d], init },
    { name: 'embeddings.token_type_embeddings.weight', shape: [shape.typeVocabularySize, d], init },
    ...norm('embeddings.LayerNorm'),
    ...Array.from({ length: layers }, (_, i) => block(`encoder.layer.${i}`)).flat(),
    ...linear('regressor', 1, d),
  ];
}

/**
 * The dropout masks, as inputs of `bertPrediction`. One mask is applied after the embeddings, and one each after the
 * attention's and the feed-forward's output of every layer; it has one number for each channel of each chunk, shared by
 * all positions (Gal & Ghahramani 2016; drawing one for each position too would take longer than the step itself). The
 * last mask has one number for each channel of the pooled vector.
 */
export function bertDropoutShapes(shape: BertShape, documents: number, chunks: number): Record<string, InputSpec> {
  return {
    dropout: { shape: [2 * shape.layers + 1, documents * chunks, shape.width], dtype: 'float32' },
    pooledDropout: { shape: [documents, shape.width], dtype: 'float32' },
  };
}

interface HiddenStates {
  /** [N, S] */
  tokens: tf.Tensor;
  /** [N, S]: 1 for a token, 0 for padding. @default - all are tokens */
  mask?: tf.Tensor;
  /** [2 layers + 1, N, d] */
  dropout?: tf.Tensor;
}

/** The encoder's last states, [N*S, d]. */
function hiddenStates(shape: BertShape, p: Tensors, { tokens, mask, dropout }: HiddenStates) {
  const [N, S] = tokens.shape as [number, number];
  const { width: d, heads: h, layerNormEpsilon: epsilon } = shape;
  const c = d / h; // channels of a head
  const affine = (name: string) => ({ weight: p[`${name}.weight`]!, bias: p[`${name}.bias`]! });
  const layer = (x: tf.Tensor, name: string) => linear(x, { weight: p[`${name}.weight`]!, bias: p[`${name}.bias`] });
  const norm = (x: tf.Tensor, name: string) =>
    scaleAndShift(standardize(x, epsilon), p[`${name}.weight`]!, p[`${name}.bias`]!, { x, epsilon });
  const split = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [N, S, h, c]), [0, 2, 1, 3]); // [N, h, S, c]
  const dropMasks = dropout && tf.unstack(dropout); // [N, d] each
  let dropped = 0;
  const drop = (x: tf.Tensor) =>
    dropMasks
      ? tf.reshape(tf.mul(tf.reshape(x, [N, S, d]), tf.reshape(dropMasks[dropped++]!, [N, 1, d])), [N * S, d])
      : x;
  const visible = mask && paddingMask(mask);

  const words = embedding(p['embeddings.word_embeddings.weight']!, tf.reshape(tokens, [N * S])); // [N*S, d]
  const places = tf.tensor1d(
    Int32Array.from({ length: S }, (_, i) => i),
    'int32',
  );
  const positions = embedding(p['embeddings.position_embeddings.weight']!, places); // [S, d]
  const type = embedding(p['embeddings.token_type_embeddings.weight']!, tf.zeros([1], 'int32')); // [1, d]
  const embedded = tf.add(tf.reshape(words, [N, S, d]), tf.add(positions, type));
  let x = drop(norm(tf.reshape(embedded, [N * S, d]), 'embeddings.LayerNorm'));
  for (let i = 0; i < shape.layers; i++) {
    const name = `encoder.layer.${i}`;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => split(layer(x, `${name}.attention.self.${part}`)));
    const heads = attention(q!, k!, v!, visible); // [N, h, S, c]
    const attended = tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [N * S, d]);
    x = norm(tf.add(drop(layer(attended, `${name}.attention.output.dense`)), x), `${name}.attention.output.LayerNorm`);

    const fed = feedForward(x, affine(`${name}.intermediate.dense`), affine(`${name}.output.dense`)); // [N*S, d]
    x = norm(tf.add(drop(fed), x), `${name}.output.LayerNorm`);
  }
  return x;
}

/** The sum of the last states over each piece's tokens. tokens [N, S], and mask if some are padding -> [N, d]. */
export function bertStateSums(shape: BertShape, p: Tensors, { tokens, mask }: Tensors): tf.Tensor {
  const [N, S] = tokens!.shape as [number, number];
  const states = tf.reshape(hiddenStates(shape, p, { tokens: tokens!, mask }), [N, S, shape.width]);
  return tf.sum(mask ? tf.mul(states, tf.reshape(mask, [N, S, 1])) : states, 1);
}

/** The mean of the last states over all tokens of all chunks. tokens, mask [documents, chunks, S] -> [documents, d]. */
export function bertEmbedding(shape: BertShape, p: Tensors, { tokens, mask, dropout }: Tensors): tf.Tensor {
  const [documents, chunks, S] = tokens!.shape as [number, number, number];
  const flat = [documents * chunks, S];
  const inputs = { tokens: tf.reshape(tokens!, flat), mask: tf.reshape(mask!, flat), dropout };
  const states = hiddenStates(shape, p, inputs);
  const counted = tf.reshape(mask!, [documents, chunks * S, 1]);
  const sum = tf.sum(tf.mul(tf.reshape(states, [documents, chunks * S, shape.width]), counted), 1);
  // The mean of a document without tokens is 0.
  return tf.mul(sum, tf.reciprocal(tf.maximum(tf.sum(counted, 1), 1)));
}

/** One number for each document, [documents]. */
export function bertPrediction(shape: BertShape, p: Tensors, inputs: Tensors): tf.Tensor {
  const pooled = bertEmbedding(shape, p, inputs); // [documents, d]
  const kept = inputs.pooledDropout ? tf.mul(pooled, inputs.pooledDropout) : pooled;
  return tf.reshape(linear(kept, { weight: p['regressor.weight']!, bias: p['regressor.bias'] }), [-1]);
}
