/**
 * Llama (Touvron et al. 2023, arXiv 2302.13971) and what differs from it in numbers, biases or norms of queries and keys
 * alone: Mistral, Qwen2, Qwen3, SmolLM. RMSNorm, SwiGLU, rotary positions on whole heads, and keys and values that several
 * query heads share (Ainslie et al. 2023, arXiv 2305.13245). Names and memory layout are those of Hugging Face's
 * `LlamaForCausalLM`.
 */
import * as tf from '@tensorflow/tfjs-core';
import { gatedFeedForward, linear, rmsNorm } from '../ops.ts';
import { linearSpecs, type ParameterSpec, weightSpec } from '../parameters.ts';
import type { Tensors } from '../runtime/program.ts';
import { causalAttention, type RotaryScaling, rotary, rotaryAngles, statesAt } from './causal-attention.ts';

export interface LlamaShape {
  architecture: 'llama';
  layers: number;
  width: number;
  /** Of queries. */
  heads: number;
  /** Of keys and values; must divide `heads`. @default heads */
  keyValueHeads?: number;
  /** Channels of a head, an even number. @default width / heads */
  headWidth?: number;
  /** @default 4 * width */
  mlpWidth?: number;
  /** Whether the projections of attention have biases; `qkv`: all but the last of them, as in Qwen2. @default false */
  attentionBias?: boolean | 'qkv';
  /** Whether an RMSNorm follows the projection of each query and key, as in Qwen3. @default false */
  queryKeyNorm?: boolean;
  /** Whether the embedding is the output head too. @default false */
  tiedEmbeddings?: boolean;
  rotaryBase: number;
  /** @default - none */
  rotaryScaling?: RotaryScaling;
  /** Of RMSNorm. */
  layerNormEpsilon: number;
  initializerStd: number;
  /** Rows of the embedding and of the head, padding included. */
  vocabularySize: number;
}

export const LLAMA_ENDS = { embedding: 'model.embed_tokens.weight', head: 'lm_head.weight' };

/** The parameters of the layers and the last norm. */
export function llamaSpecs(shape: LlamaShape): ParameterSpec[] {
  const { layers, width: d, heads: h, keyValueHeads: g = h, headWidth: c = d / h, mlpWidth = 4 * d } = shape;
  const { attentionBias = false, queryKeyNorm } = shape;
  const init = { std: shape.initializerStd };
  const projection = (name: string, [out, into]: [number, number], bias: boolean) =>
    bias ? linearSpecs(name, out, into, init) : [weightSpec(name, out, into, init)];
  const norm = (name: string, width = d): ParameterSpec => ({ name: `${name}.weight`, shape: [width], init: 'ones' });
  const block = (layer: string): ParameterSpec[] => [
    ...projection(`${layer}.self_attn.q_proj`, [h * c, d], attentionBias !== false),
    ...projection(`${layer}.self_attn.k_proj`, [g * c, d], attentionBias !== false),
    ...projection(`${layer}.self_attn.v_proj`, [g * c, d], attentionBias !== false),
    ...projection(`${layer}.self_attn.o_proj`, [d, h * c], attentionBias === true),
    ...(queryKeyNorm ? [norm(`${layer}.self_attn.q_norm`, c), norm(`${layer}.self_attn.k_norm`, c)] : []),
    weightSpec(`${layer}.mlp.gate_proj`, mlpWidth, d, init),
    weightSpec(`${layer}.mlp.up_proj`, mlpWidth, d, init),
    weightSpec(`${layer}.mlp.down_proj`, d, mlpWidth, init),
    norm(`${layer}.input_layernorm`),
    norm(`${layer}.post_attention_layernorm`),
  ];
  return [...Array.from({ length: layers }, (_, i) => block(`model.layers.${i}`)).flat(), norm('model.norm')];
}

/** The layers and the last norm. x [B*S, d] -> [B*S, d], or with at [B, T] -> [B*T, d]. */
export function llamaLayers(
  shape: LlamaShape,
  p: Tensors,
  x: tf.Tensor,
  [B, S]: [number, number],
  at: tf.Tensor | undefined,
): tf.Tensor {
  const { width: d, heads: h, keyValueHeads: g = h, headWidth: c = d / h } = shape;
  const angles = rotaryAngles(S, c, shape.rotaryBase, shape.rotaryScaling);
  const affine = (name: string) => ({ weight: p[`${name}.weight`]!, bias: p[`${name}.bias`] });
  const norm = (x: tf.Tensor, name: string) => rmsNorm(x, p[`${name}.weight`]!, shape.layerNormEpsilon);

  for (let i = 0; i < shape.layers; i++) {
    const name = `model.layers.${i}`;
    const read = norm(x, `${name}.input_layernorm`); // [B*S, d]
    const project = (to: string, heads: number) =>
      tf.reshape(linear(read, affine(`${name}.self_attn.${to}`)), [B, S, heads, c]);
    const ofHeads = (x: tf.Tensor, which: string) => {
      if (!shape.queryKeyNorm) return x;
      return tf.reshape(norm(tf.reshape(x, [-1, c]), `${name}.self_attn.${which}`), x.shape);
    };
    const q = rotary(ofHeads(project('q_proj', h), 'q_norm'), angles); // [B, S, h, c]
    const k = rotary(ofHeads(project('k_proj', g), 'k_norm'), angles); // [B, S, g, c]
    const v = project('v_proj', g);
    const last = i === shape.layers - 1 ? at : undefined;
    const attended = causalAttention(q, k, v, last); // [B, S, h, c]; at `last`, T instead of S from here on
    if (last) x = statesAt(x, last, S);

    x = tf.add(x, linear(tf.reshape(attended, [-1, h * c]), affine(`${name}.self_attn.o_proj`)));
    const mlp = gatedFeedForward(norm(x, `${name}.post_attention_layernorm`), {
      gate: affine(`${name}.mlp.gate_proj`),
      up: affine(`${name}.mlp.up_proj`),
      down: affine(`${name}.mlp.down_proj`),
    });
    x = tf.add(x, mlp);
  }
  return norm(x, 'model.norm');
}
