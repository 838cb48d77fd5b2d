/**
 * The differentiable building blocks of all models. Each has its derivative in closed form (`tf.customGrad`) where
 * that saves large intermediates. A few call a fused kernel where the backend has one (the trace backend, and so ONNX
 * Runtime) and compute the same in plain ops elsewhere.
 */
import * as tf from '@tensorflow/tfjs-core';
import './gradients.ts';

type Gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/**
 * `tf.customGrad`, typed for a gradient that receives the saved tensors. Only those are available to it: tfjs frees
 * everything else of the forward pass before the backward pass begins.
 */
export function withGradient(
  inputs: tf.Tensor[],
  forward: (save: (tensors: tf.Tensor[]) => void) => tf.Tensor,
  gradient: Gradient,
): tf.Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const save = args.at(-1) as (tensors: tf.Tensor[]) => void;
    return { value: forward(save), gradFunc: gradient as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[] };
  });
  return op(...inputs);
}

/** Runs a kernel that only some backends have; undefined if this one does not. */
export function fused(kernel: string, inputs: Record<string, tf.Tensor>, attributes = {}): tf.Tensor[] | undefined {
  if (!tf.getKernel(kernel, tf.getBackend())) return undefined;
  const result = tf.engine().runKernel(kernel, inputs as unknown as tf.NamedTensorMap, attributes);
  return (Array.isArray(result) ? result : [result]) as tf.Tensor[];
}

/** Whether work is cut to the size of a CPU's caches for this backend. */
export function worksInParts(): boolean {
  return tf.getKernel('HeadMatMul', tf.getBackend()) !== undefined;
}

/** Zeros [count, d], to which the rows [n, d] are added at `ids` [n]; rows that share an id add up. */
function scatterRows(count: number, ids: tf.Tensor, rows: tf.Tensor): tf.Tensor {
  const at = tf.reshape(ids, [ids.size, 1]) as tf.Tensor2D;
  return fused('ScatterRows', { ids, rows }, { count })?.[0] ?? tf.scatterND(at, rows, [count, ...rows.shape.slice(1)]);
}

/** Rows of `table` [V, d] at `ids` [n] -> [n, d]. */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  return withGradient(
    [table],
    (save) => {
      save([ids]);
      return tf.gather(table, ids);
    },
    (dy, [ids]) => scatterRows(table.shape[0]!, ids!, dy),
  );
}

interface LinearParameters {
  weight: tf.Tensor;
  bias?: tf.Tensor | undefined;
}

interface LinearOptions {
  /** Factors of the input and of the output; matrix products scale their results at no cost. */
  inputScale?: number;
  outputScale?: number;
}

/**
 * Up to this many rows, a product reads a transposed first factor. It then gives the same bits on any number of
 * threads; otherwise `runtime/thread-limit.ts` would limit the whole graph to a few.
 */
const FEW_ROWS = 64;

/** x [n, in], weight [out, in], bias [out] or none -> x weight^T + bias [n, out]. */
export function linear(
  x: tf.Tensor,
  { weight, bias }: LinearParameters,
  { inputScale = 1, outputScale = 1 }: LinearOptions = {},
): tf.Tensor {
  const alpha = inputScale * outputScale;
  return withGradient(
    bias ? [x, weight, bias] : [x, weight],
    (save) => {
      save([x, weight]);
      const options = { transposeB: true, bias, alpha, beta: outputScale };
      return x.shape[0]! > FEW_ROWS
        ? gemm(x, weight, options)
        : gemm(tf.transpose(x), weight, { ...options, transposeA: true });
    },
    (dy, [x, weight]) => {
      const [out, into] = weight!.shape as [number, number];
      // dy^T x. A product is a sixth slower on a transposed first factor, so the narrower factor is transposed
      // beforehand.
      const dWeight =
        out <= into ? gemm(tf.transpose(dy), x!, { alpha }) : tf.transpose(gemm(tf.transpose(x!), dy, { alpha })); // [out, in]
      const dx = gemm(dy, weight!, { alpha });
      return bias ? [dx, dWeight, tf.mul(tf.sum(dy, 0), outputScale)] : [dx, dWeight];
    },
  );
}

interface GemmOptions {
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: tf.Tensor | undefined;
  alpha?: number;
  beta?: number;
}

/** alpha a b + beta bias */
function gemm(a: tf.Tensor, b: tf.Tensor, { transposeA, transposeB, bias, alpha = 1, beta = 1 }: GemmOptions) {
  const kernel = fused('ScaledMatMul', { a, b, ...(bias && { bias }) }, { transposeA, transposeB, alpha, beta });
  if (kernel) return kernel[0]!;
  const product = tf.mul(tf.matMul(a, b, transposeA, transposeB), alpha);
  return bias ? tf.add(product, tf.mul(bias, beta)) : product;
}

/**
 * (x - mean) / sqrt(variance + epsilon) over the last axis of x [n, d]: layer normalization without its scale and
 * shift, so that two LayerNorms of the same x (GPT-NeoX's parallel residual) share it and its derivative.
 */
export function standardize(x: tf.Tensor, epsilon: number): tf.Tensor {
  return withGradient(
    [x],
    (save) => {
      const [y, inverseStd] = fused('Standardize', { x }, { epsilon }) ?? standardizePlainly(x, epsilon);
      save([y!, inverseStd!]);
      return y!;
    },
    // dx = (dy - mean(dy) - y mean(dy y)) / std
    (dy, [y, inverseStd]) => {
      const centred = tf.sub(dy, tf.mean(dy, -1, true));
      const along = tf.mul(y!, tf.mean(tf.mul(dy, y!), -1, true));
      return tf.mul(tf.sub(centred, along), inverseStd!);
    },
  );
}

function standardizePlainly(x: tf.Tensor, epsilon: number): [tf.Tensor, tf.Tensor] {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const inverseStd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  return [tf.mul(centred, inverseStd), inverseStd];
}

/**
 * y [n, d] * scale [d] + shift [d], which turns a standardized value into a LayerNorm's output.
 *
 * @param of the tensor that y was standardized from: the fused kernel then computes the output from it in one pass.
 */
export function scaleAndShift(
  y: tf.Tensor,
  scale: tf.Tensor,
  shift: tf.Tensor,
  of?: { x: tf.Tensor; epsilon: number },
): tf.Tensor {
  return withGradient(
    [y, scale, shift],
    (save) => {
      save([y, scale]);
      const kernel = of && fused('LayerNorm', { x: of.x, scale, shift }, { epsilon: of.epsilon });
      return kernel?.[0] ?? tf.add(tf.mul(y, scale), shift);
    },
    (dy, [y, scale]) => [tf.mul(dy, scale!), tf.sum(tf.mul(dy, y!), 0), tf.sum(dy, 0)],
  );
}

/** x / sqrt(mean(x^2) + epsilon) over the last axis of x [n, d], times scale [d] (Zhang and Sennrich 2019, arXiv 1910.07467). */
export function rmsNorm(x: tf.Tensor, scale: tf.Tensor, epsilon: number): tf.Tensor {
  return withGradient(
    [x, scale],
    (save) => {
      const [y, inverse] = fused('RmsNorm', { x, scale }, { epsilon }) ?? rmsNormPlainly(x, scale, epsilon);
      save([x, scale, inverse!]);
      return y!;
    },
    // With n = x / rms and g = dy scale: dx = (g - n mean(g n)) / rms
    (dy, [x, scale, inverse]) => {
      const normalized = tf.mul(x!, inverse!);
      const g = tf.mul(dy, scale!);
      const along = tf.mul(normalized, tf.mean(tf.mul(g, normalized), -1, true));
      return [tf.mul(tf.sub(g, along), inverse!), tf.sum(tf.mul(dy, normalized), 0)];
    },
  );
}

function rmsNormPlainly(x: tf.Tensor, scale: tf.Tensor, epsilon: number): [tf.Tensor, tf.Tensor] {
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon));
  return [tf.mul(tf.mul(x, inverse), scale), inverse];
}

/** GELU by erf, exactly, or its approximation by tanh (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
export type Activation = 'gelu' | 'gelu-tanh';

/**
 * The feed-forward part of a layer: linear, GELU, linear. x [n, d] -> [n, d].
 *
 * The hidden tensors are the widest of a layer, and each pass over them costs memory traffic. With s = z / sqrt(2),
 * gelu(z) = s (1 + erf s) / sqrt(2): both constant factors go into the matrix products, which leaves six passes for the
 * derivative. Where nothing is differentiated, one fused kernel computes all of gelu.
 */
export function feedForward(
  x: tf.Tensor,
  up: LinearParameters,
  down: LinearParameters,
  activation: Activation = 'gelu',
): tf.Tensor {
  if (activation === 'gelu-tanh') return linear(geluByTanh(linear(x, up)), down);
  if (!tf.engine().isTapeOn()) return linear(gelu(linear(x, up)), down);
  const s = linear(x, up, { outputScale: Math.SQRT1_2 });
  return linear(erfGate(s), down, { inputScale: Math.SQRT1_2 });
}

/** z Phi(z), where Phi is the normal distribution function. */
function gelu(z: tf.Tensor): tf.Tensor {
  const kernel = fused('Gelu', { x: z });
  return kernel?.[0] ?? tf.mul(z, tf.add(tf.mul(tf.erf(tf.mul(z, Math.SQRT1_2)), 0.5), 0.5));
}

/** s (1 + erf s) */
function erfGate(s: tf.Tensor): tf.Tensor {
  return withGradient(
    [s],
    (save) => {
      const gate = tf.add(tf.erf(s), 1);
      save([s, gate]);
      return tf.mul(s, gate);
    },
    // 1 + erf s + 2 / sqrt(pi) s exp(-s^2), with 2 / sqrt(pi) moved into the exponential
    (dy, [s, gate]) => {
      const density = tf.exp(tf.sub(Math.log(2 / Math.sqrt(Math.PI)), tf.mul(s!, s!)));
      return tf.mul(dy, tf.add(gate!, tf.mul(s!, density)));
    },
  );
}

/** The approximation's constants: tanh(SLOPE (z + CUBIC z^3)). */
const SLOPE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 */
function geluByTanh(z: tf.Tensor): tf.Tensor {
  return withGradient(
    [z],
    (save) => {
      const inner = tf.mul(z, tf.add(tf.mul(tf.square(z), SLOPE * CUBIC), SLOPE));
      const gate = tf.add(tf.mul(tf.tanh(inner), 0.5), 0.5);
      save([z, gate]);
      return tf.mul(z, gate);
    },
    // With gate g = (1 + tanh u) / 2: dg/du = 2 g (1 - g), and du/dz = SLOPE (1 + 3 CUBIC z^2)
    (dy, [z, gate]) => {
      const inner = tf.add(tf.mul(tf.square(z!), 6 * SLOPE * CUBIC), 2 * SLOPE); // 2 du/dz
      const slope = tf.mul(tf.mul(gate!, tf.sub(1, gate!)), inner);
      return tf.mul(dy, tf.add(gate!, tf.mul(z!, slope)));
    },
  );
}

/** Llama's feed-forward part: down (silu(gate x) * up x), where silu(z) = z sigmoid(z). x [n, d] -> [n, d]. */
export function gatedFeedForward(
  x: tf.Tensor,
  { gate, up, down }: Record<'gate' | 'up' | 'down', LinearParameters>,
): tf.Tensor {
  return linear(swiGlu(linear(x, gate), linear(x, up)), down);
}

/** y = silu(z) u (Shazeer 2020, arXiv 2002.05202) */
function swiGlu(z: tf.Tensor, u: tf.Tensor): tf.Tensor {
  const kernel = tf.engine().isTapeOn() ? undefined : fused('Silu', { x: z });
  if (kernel) return tf.mul(kernel[0]!, u);
  return withGradient(
    [z, u],
    (save) => {
      const sigmoid = tf.sigmoid(z);
      const silu = tf.mul(z, sigmoid);
      const y = tf.mul(silu, u);
      save([u, sigmoid, silu, y]);
      return y;
    },
    // silu' = sigmoid (1 - silu) + silu, so u silu' = sigmoid (u - y) + y
    (dy, [u, sigmoid, silu, y]) => [tf.mul(dy, tf.add(tf.mul(sigmoid!, tf.sub(u!, y!)), y!)), tf.mul(dy, silu!)],
  );
}

/** Added to a masked score: far below any real score, and still finite so that a fully masked row gives no NaN. */
export const MASKED = -1e9;

/** tokens [N, S], 1 for a token and 0 for padding -> a mask to add to the scores [N, h, S, S]. */
export function paddingMask(tokens: tf.Tensor): tf.Tensor {
  const [n, length] = tokens.shape as [number, number];
  return tf.mul(tf.sub(1, tf.reshape(tokens, [n, 1, 1, length])), MASKED);
}

/**
 * Another number of heads over the same rows of matrices: x [..., h, n, m] -> [..., heads, (h * n) / heads, m]. With as
 * many heads as keys have, the queries that share keys are rows of one matrix: products are then larger, read keys and
 * values once, and sum their derivatives over the heads. With as many as queries have, each has its matrix again.
 */
export function regroupHeads(x: tf.Tensor, heads: number): tf.Tensor {
  const [h, n, m] = x.shape.slice(-3) as [number, number, number];
  return tf.reshape(x, [...x.shape.slice(0, -3), heads, (h * n) / heads, m]);
}

/**
 * softmax(q k^T / sqrt(c) + mask) v for q [B, h, S, c] and k, v [B, g, S, c] -> [B, h, S, c]; of the h heads, h / g in a
 * row share one of keys and values. The only [B, h, S, S] tensor kept for the backward pass is the softmax; its
 * derivative needs the row sums of dP * P, which equal those of dO * O.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
  const scale = 1 / Math.sqrt(q.shape.at(-1)!);
  const byKeys = (x: tf.Tensor) => regroupHeads(x, k.shape[1]!);
  const byQueries = (x: tf.Tensor) => regroupHeads(x, q.shape[1]!);
  return withGradient(
    [q, k, v],
    (save) => {
      const scores = byQueries(tf.mul(tf.matMul(byKeys(q), k, false, true), scale));
      const weights = tf.softmax(mask ? tf.add(scores, mask) : scores); // [B, h, S, S]
      const output = byQueries(tf.matMul(byKeys(weights), v));
      save([q, k, v, weights, output]);
      return output;
    },
    (dy, [q, k, v, weights, output]) => {
      const dWeights = byQueries(tf.matMul(byKeys(dy), v!, false, true)); // [B, h, S, S]
      const rowTerm = tf.sum(tf.mul(dy, output!), -1, true); // [B, h, S, 1]
      const dScores = byKeys(tf.mul(weights!, tf.sub(dWeights, rowTerm)));
      return [
        byQueries(tf.mul(tf.matMul(dScores, k!), scale)),
        tf.mul(tf.matMul(dScores, byKeys(q!), true), scale),
        tf.matMul(byKeys(weights!), byKeys(dy), true),
      ];
    },
  );
}
