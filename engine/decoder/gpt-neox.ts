/**
 * GPT-NeoX (Black et al. 2022; Pythia): parallel residual (or sequential, as in RedPajama-INCITE), rotary positions on
 * part of each head. Names and memory layout are those of Hugging Face's `GPTNeoXForCausalLM`.
 */
import * as tf from '@tensorflow/tfjs-core';
import { type Activation, feedForward, linear, scaleAndShift, standardize } from '../ops.ts';
import { linearSpecs, normSpecs, type ParameterSpec, weightSpec } from '../parameters.ts';
import type { Tensors } from '../runtime/program.ts';
import { causalAttention, rotary, rotaryAngles, statesAt } from './causal-attention.ts';

export interface GptNeoxShape {
  architecture?: 'gpt-neox';
  layers: number;
  width: number;
  heads: number;
  /** @default 4 * width */
  mlpWidth?: number;
  /** @default 'gelu' */
  activation?: Activation;
  /** Whether the two projections of attention have biases. @default true */
  attentionBias?: boolean;
  /** Whether the embedding is the output head too. @default false */
  tiedEmbeddings?: boolean;
  /** Share of each head that is rotated: floor(width / heads * rotaryFraction) dimensions, an even number. */
  rotaryFraction: number;
  rotaryBase: number;
  layerNormEpsilon: number;
  initializerStd: number;
  /**
   * Whether attention and MLP read the same input, as in x + attention(x) + mlp(x). If false, the MLP reads x +
   * attention(x).
   * @default true
   */
  parallelResidual?: boolean;
  /** Rows of the embedding and of the head, padding included. */
  vocabularySize: number;
}

export const GPT_NEOX_ENDS = { embedding: 'gpt_neox.embed_in.weight', head: 'embed_out.weight' };

/** The parameters of the layers and the last norm. */
export function gptNeoxSpecs(shape: GptNeoxShape): ParameterSpec[] {
  const { layers, width: d, mlpWidth = 4 * d, attentionBias = true } = shape;
  const init = { std: shape.initializerStd };
  const linear = (name: string, out: number, into: number) => linearSpecs(name, out, into, init);
  const projection = (name: string, out: number) =>
    attentionBias ? linear(name, out, d) : [weightSpec(name, out, d, init)];
  const norm = (name: string) => normSpecs(name, d);
  const block = (layer: string): ParameterSpec[] => [
    ...norm(`${layer}.input_layernorm`),
    ...norm(`${layer}.post_attention_layernorm`),
    // The rows of the projection are (head, [q, k, v], channel).
    ...projection(`${layer}.attention.query_key_value`, 3 * d),
    ...projection(`${layer}.attention.dense`, d),
    ...linear(`${layer}.mlp.dense_h_to_4h`, mlpWidth, d),
    ...linear(`${layer}.mlp.dense_4h_to_h`, d, mlpWidth),
  ];
  return [
    ...Array.from({ length: layers }, (_, i) => block(`gpt_neox.layers.${i}`)).flat(),
    ...norm('gpt_neox.final_layer_norm'),
  ];
}

/** The layers and the last norm. x [B*S, d] -> [B*S, d], or with at [B, T] -> [B*T, d]. */
export function gptNeoxLayers(
  shape: GptNeoxShape,
  p: Tensors,
  x: tf.Tensor,
  [B, S]: [number, number],
  at: tf.Tensor | undefined,
): tf.Tensor {
  const { width: d, heads: h, layerNormEpsilon: epsilon, parallelResidual = true } = shape;
  const c = d / h; // channels of a head
  const rotated = Math.floor(c * shape.rotaryFraction);
  const angles = rotated > 0 ? rotaryAngles(S, rotated, shape.rotaryBase) : undefined;
  const affine = (name: string) => ({ weight: p[`${name}.weight`]!, bias: p[`${name}.bias`] });
  const norm = (x: tf.Tensor, standard: tf.Tensor, name: string) =>
    scaleAndShift(standard, p[`${name}.weight`]!, p[`${name}.bias`]!, { x, epsilon });

  for (let i = 0; i < shape.layers; i++) {
    const name = `gpt_neox.layers.${i}`;
    let standard = standardize(x, epsilon); // [B*S, d], shared by both branches of a parallel residual

    const qkv = linear(norm(x, standard, `${name}.input_layernorm`), affine(`${name}.attention.query_key_value`)); // [B*S, 3d]
    const [q, k, v] = tf.unstack(tf.reshape(qkv, [B, S, h, 3, c]), 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const turn = (x: tf.Tensor) => (angles ? rotary(x, angles) : x);
    const last = i === shape.layers - 1 ? at : undefined;
    const attended = causalAttention(turn(q), turn(k), v, last); // [B, S, h, c]; at `last`, T instead of S from here on
    if (last) [x, standard] = [statesAt(x, last, S), statesAt(standard, last, S)];

    const output = tf.add(x, linear(tf.reshape(attended, [-1, d]), affine(`${name}.attention.dense`))); // [B*S, d]
    const [of, read] = parallelResidual ? [x, standard] : [output, standardize(output, epsilon)];

    const mlp = feedForward(
      norm(of, read, `${name}.post_attention_layernorm`),
      affine(`${name}.mlp.dense_h_to_4h`),
      affine(`${name}.mlp.dense_4h_to_h`),
      shape.activation,
    ); // [B*S, d]

    x = tf.add(output, mlp);
  }
  return norm(x, standardize(x, epsilon), 'gpt_neox.final_layer_norm');
}
