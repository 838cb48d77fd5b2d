/**
 * Decoders of either architecture: rows of tokens to hidden states, and from these, by the output head, the losses that
 * everything else reads.
 */
import * as tf from '@tensorflow/tfjs-core';
import { crossEntropy, targetLogProbabilities, tokenCrossEntropy } from '../losses.ts';
import { embedding, worksInParts } from '../ops.ts';
import type { ParameterSpec } from '../parameters.ts';
import type { Tensors } from '../runtime/program.ts';
import { GPT_NEOX_ENDS, type GptNeoxShape, gptNeoxLayers, gptNeoxSpecs } from './gpt-neox.ts';
import { LLAMA_ENDS, type LlamaShape, llamaLayers, llamaSpecs } from './llama.ts';

export type DecoderShape = GptNeoxShape | LlamaShape;

/** The parameters in the order of Hugging Face's state dict. Linear weights are [out, in]. */
export function decoderSpecs(shape: DecoderShape): ParameterSpec[] {
  const { width, vocabularySize, tiedEmbeddings = false, initializerStd: std } = shape;
  const { embedding, head } = endsOf(shape);
  const end = (name: string): ParameterSpec => ({ name, shape: [vocabularySize, width], init: { std } });
  const between = shape.architecture === 'llama' ? llamaSpecs(shape) : gptNeoxSpecs(shape);
  return [end(embedding), ...between, ...(tiedEmbeddings ? [] : [end(head)])];
}

/** The names of the embedding and of the output head, both [vocabularySize, d]; where they are tied, there is no head. */
export function endsOf({ architecture }: DecoderShape): { embedding: string; head: string } {
  return architecture === 'llama' ? LLAMA_ENDS : GPT_NEOX_ENDS;
}

/** The output head: the embedding where the two are tied. */
export function headOf(shape: DecoderShape, p: Tensors): tf.Tensor {
  const ends = endsOf(shape);
  return p[ends.head] ?? p[ends.embedding]!;
}

/** The layers and the last norm. x [B*S, d] -> [B*S, d], or with at [B, T] -> [B*T, d]. */
function layers(
  shape: DecoderShape,
  p: Tensors,
  x: tf.Tensor,
  size: [B: number, S: number],
  at: tf.Tensor | undefined,
): tf.Tensor {
  return shape.architecture === 'llama' ? llamaLayers(shape, p, x, size, at) : gptNeoxLayers(shape, p, x, size, at);
}

/**
 * Final hidden states. tokens [B, S] -> [B*S, d].
 *
 * @param at [B, T]: positions of each row; the states after them are then the output, [B*T, d], and the last layer
 * computes no others. Not differentiable.
 */
export function decoderHiddenStates(shape: DecoderShape, p: Tensors, tokens: tf.Tensor, at?: tf.Tensor): tf.Tensor {
  const [B, S] = tokens.shape as [number, number];
  const embedded = embedding(p[endsOf(shape).embedding]!, tf.reshape(tokens, [B * S])); // [B*S, d]
  const groups = rowGroups(B, S);
  const ofGroup = (x: tf.Tensor) => tf.unstack(tf.reshape(x, [groups, x.shape[0]! / groups, x.shape[1]!]));
  if (groups === 1) return layers(shape, p, embedded, [B, S], at);
  const positions = at && ofGroup(at);
  const states = ofGroup(embedded).map((part, i) => layers(shape, p, part, [B / groups, S], positions?.[i]));
  return tf.reshape(tf.stack(states), [-1, shape.width]);
}

/**
 * Tokens that go through the layers together. With 512, a matrix product is 6 to 10 % faster than with 2,048, and the
 * tensors between two products stay in the cache; the price is that weight gradients have to be summed over the groups.
 */
const GROUP_TOKENS = 512;

/** The number of equal groups of rows that a batch is cut into. A GPU, which runs op by op, gets it whole. */
function rowGroups(batch: number, length: number): number {
  if (!worksInParts()) return 1;
  const distance = (groups: number) => Math.abs(Math.log((batch * length) / groups / GROUP_TOKENS));
  const divisors = Array.from({ length: batch }, (_, i) => i + 1).filter((n) => batch % n === 0);
  return divisors.reduce((best, groups) => (distance(groups) < distance(best) ? groups : best));
}

/** Negative log-likelihoods. tokens [B, S], targets [B*S] -> [B*S]. */
export function decoderTokenLosses(shape: DecoderShape, p: Tensors, tokens: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return decoderTargetLosses(shape, p, decoderHiddenStates(shape, p, tokens), targets);
}

/** The head's negative log-likelihoods. hidden [n, d], targets [n] -> [n]. */
export function decoderTargetLosses(shape: DecoderShape, p: Tensors, hidden: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tokenCrossEntropy(hidden, headOf(shape, p), targets);
}

/** {@link targetLogProbabilities} of the head. hidden [n, d], targets [n] -> [n, 2]. */
export function decoderTargetLogProbabilities(
  shape: DecoderShape,
  p: Tensors,
  hidden: tf.Tensor,
  targets: tf.Tensor,
): tf.Tensor {
  return targetLogProbabilities(hidden, headOf(shape, p), targets);
}

/**
 * Features of each row: the negative log-likelihoods of its predictions, then the mean of its final hidden states.
 * tokens [B, S], targets [B*S] -> [B, S + d].
 */
export function decoderRowFeatures(shape: DecoderShape, p: Tensors, tokens: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  const [B, S] = tokens.shape as [number, number];
  const states = decoderHiddenStates(shape, p, tokens); // [B*S, d]
  const losses = tokenCrossEntropy(states, headOf(shape, p), targets); // [B*S]
  const meanState = tf.mean(tf.reshape(states, [B, S, shape.width]), 1); // [B, d]
  return tf.concat([tf.reshape(losses, [B, S]), meanState], 1);
}

/** The weighted sum of the negative log-likelihoods, a scalar. weights [B*S]. */
export function decoderLoss(
  shape: DecoderShape,
  p: Tensors,
  tokens: tf.Tensor,
  targets: tf.Tensor,
  weights: tf.Tensor,
): tf.Tensor {
  return crossEntropy(decoderHiddenStates(shape, p, tokens), headOf(shape, p), targets, weights);
}
