/** Losses, and what else follows from the logits of an output head, of which training never holds all at once. */
import * as tf from '@tensorflow/tfjs-core';
import { fused, withGradient } from './ops.ts';
import { partSize } from './padding.ts';

/**
 * The most tokens, and floats, in one chunk of logits. The [tokens, vocabulary] softmax is the largest tensor of
 * training (512 tokens of 50,304 entries are 103 MB). As in `decoder.ts`, products over 512 tokens are faster than
 * over more; with fewer, the vocabulary's weight gradient would be summed more often than needed.
 */
const CHUNK_TOKENS = 512;
const LOGITS_CHUNK = 32 * 1024 * 1024;

/** The smallest probability whose logarithm is taken: losses are exact up to 87 nats and never infinite. */
const SMALLEST = 1e-38;

/** The softmax of the chunk's logits, and each target's negative log-likelihood. x [c, d], head [V, d], targets [c]. */
function predictChunk(x: tf.Tensor, head: tf.Tensor, targets: tf.Tensor) {
  const probabilities = tf.softmax(tf.matMul(x, head, false, true)); // [c, V]
  const ofTargets = tf.maximum(takeAlongRows(probabilities, targets), SMALLEST); // [c]
  // -log of the probability rather than logsumexp - logit: one pass less, and no cancellation of two large numbers.
  return { losses: tf.neg(tf.log(ofTargets)), probabilities };
}

/** x [n, V], columns [n] -> [n]: one element of each row. */
function takeAlongRows(x: tf.Tensor, columns: tf.Tensor): tf.Tensor {
  const kernel = fused('TakeAlongRows', { x, columns });
  if (kernel) return kernel[0]!;
  const [rows, width] = x.shape as [number, number];
  const starts = tf.tensor1d(
    Int32Array.from({ length: rows }, (_, row) => row * width),
    'int32',
  );
  return tf.gather(tf.reshape(x, [rows * width]), tf.add(starts, columns));
}

/** Subtracts 1 from x [n, V] at one column of each row; in place where the kernel is fused. */
function subtractOneHot(x: tf.Tensor, columns: tf.Tensor): tf.Tensor {
  return fused('SubtractOneHot', { x, columns })?.[0] ?? tf.sub(x, tf.oneHot(columns, x.shape[1]!));
}

/** Cuts n tokens into equal chunks of whole vectors, except that the last may be smaller. */
function* chunks(n: number, vocabulary: number): Generator<[begin: number, size: number]> {
  const most = Math.min(CHUNK_TOKENS, Math.floor(LOGITS_CHUNK / vocabulary));
  const size = partSize(n, Math.max(1, most));
  for (let begin = 0; begin < n; begin += size) yield [begin, Math.min(size, n - begin)];
}

/** Negative log-likelihoods [n] of `targets` [n] under softmax(x head^T); x [n, d], head [V, d]. Not differentiable. */
export function tokenCrossEntropy(x: tf.Tensor, head: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  const parts = [...chunks(x.shape[0]!, head.shape[0]!)].map(
    ([begin, size]) =>
      predictChunk(tf.slice(x, [begin, 0], [size, -1]), head, tf.slice(targets, [begin], [size])).losses,
  );
  return parts.length === 1 ? parts[0]! : tf.concat(parts);
}

/**
 * The two numbers of softmax(x head^T) from which likelihood and greediness follow; x [n, d], head [V, d], targets [n]
 * -> [n, 2]: the target's logit less the largest, and the logarithm of the largest probability. Their sum is the
 * target's log-probability, exact however small; the first is 0 if no token is likelier than the target. Not
 * differentiable.
 */
export function targetLogProbabilities(x: tf.Tensor, head: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  const logits = tf.matMul(x, head, false, true); // [n, V]
  const behind = tf.sub(takeAlongRows(logits, targets), tf.max(logits, -1)); // [n]
  const best = tf.log(tf.max(tf.softmax(logits), -1)); // [n]; a largest probability is at least 1/V
  return tf.stack([behind, best], 1);
}

/**
 * sum_i weights_i * nll_i, a scalar. The weights are known here, so the gradients are computed chunk by chunk with the
 * losses, from the one softmax, and no logits outlive their chunk.
 */
export function crossEntropy(x: tf.Tensor, head: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  return withGradient(
    [x, head],
    (save) => {
      const losses: tf.Tensor[] = [];
      const dx: tf.Tensor[] = [];
      let dHead: tf.Tensor | undefined; // [d, V]
      for (const [begin, size] of chunks(x.shape[0]!, head.shape[0]!)) {
        const part = tf.slice(x, [begin, 0], [size, -1]); // [c, d]
        const target = tf.slice(targets, [begin], [size]); // [c]
        const weight = tf.slice(weights, [begin], [size]); // [c]
        const { losses: nll, probabilities } = predictChunk(part, head, target);
        losses.push(tf.sum(tf.mul(weight, nll)));
        // d nll / d logits = p - onehot(target). The weight goes onto the narrow factors: [c, d], never [c, V].
        const dLogits = subtractOneHot(probabilities, target);
        const column = tf.reshape(weight, [size, 1]);
        dx.push(tf.mul(tf.matMul(dLogits, head), column));
        // Computed transposed: the narrow factor then comes first, and the sum below is part of the product.
        const partOfHead = tf.matMul(tf.transpose(tf.mul(part, column)), dLogits);
        dHead = dHead ? tf.add(dHead, partOfHead) : partOfHead;
      }
      save([dx.length === 1 ? dx[0]! : tf.concat(dx), tf.transpose(dHead!)]);
      return tf.addN(losses);
    },
    (dy, [dx, dHead]) => [tf.mul(dx!, dy), tf.mul(dHead!, dy)],
  );
}

/** sum_i weights_i (predictions_i - labels_i)^2 for [n] each: a scalar. */
export function squaredError(predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(weights, tf.square(tf.sub(predictions, labels))));
}
