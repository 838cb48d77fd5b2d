/**
 * Causal self-attention with rotary positions, over queries, keys and values as the projections leave them, [B, S, h, c]
 * and, where h / g heads share keys and values, [B, S, g, c].
 *
 * Where the backend has the kernels (the trace backend, and so ONNX Runtime), attention is built one row of the batch
 * at a time, and each row in blocks of queries that see only the keys up to the block's end. So scores above the block
 * diagonal are neither computed nor stored, one row's scores stay in a core's cache from their product to their last
 * use, and the matrix products read each head in place, with a stride, instead of from a transposed copy. Elsewhere it
 * is the textbook formula.
 */
import * as tf from '@tensorflow/tfjs-core';
import { attention, fused, MASKED, regroupHeads, withGradient, worksInParts } from '../ops.ts';

/** How Llama 3.1 stretches the waves of its positions: those longer than it was pretrained on, by a factor. */
export interface RotaryScaling {
  factor: number;
  /** Waves longer than `originalLength` / `lowFrequencyFactor` tokens are stretched by the whole factor. */
  lowFrequencyFactor: number;
  /** Those shorter than `originalLength` / `highFrequencyFactor` not at all, and those in between by a part of it. */
  highFrequencyFactor: number;
  originalLength: number;
}

/** Angles for positions 0 to length - 1: cosines and sines, each [length, dimensions / 2]. */
export function rotaryAngles(
  length: number,
  dimensions: number,
  base: number,
  scaling?: RotaryScaling,
): { cos: tf.Tensor; sin: tf.Tensor } {
  const half = dimensions / 2;
  const radians = Array.from({ length: half }, (_, i) => base ** ((2 * i) / dimensions)); // tokens in one radian
  const stretched = scaling ? radians.map((tokens) => tokens * stretchOf(tokens, scaling)) : radians;
  const angles = Array.from({ length: length * half }, (_, i) => Math.floor(i / half) / stretched[i % half]!);
  return {
    cos: tf.tensor2d(Float32Array.from(angles, Math.cos), [length, half]),
    sin: tf.tensor2d(Float32Array.from(angles, Math.sin), [length, half]),
  };
}

/** The factor by which a wave is stretched of which one radian takes so many tokens. */
function stretchOf(
  tokens: number,
  { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength }: RotaryScaling,
): number {
  const waves = originalLength / (2 * Math.PI * tokens);
  const kept = Math.min(1, Math.max(0, (waves - low) / (high - low)));
  return 1 / (kept + (1 - kept) / factor);
}

/** Rotates the leading 2 * cos.shape[1] dimensions of x [B, S, h, c] by position, "rotate-half" style as in GPT-NeoX. */
export function rotary(x: tf.Tensor, { cos, sin }: { cos: tf.Tensor; sin: tf.Tensor }): tf.Tensor {
  return withGradient(
    [x],
    (save) => {
      save([cos, sin]);
      return rotate(x, cos, sin);
    },
    // The transpose of a rotation is its inverse.
    (dy, [cos, sin]) => rotate(dy, cos!, tf.neg(sin!)),
  );
}

function rotate(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor): tf.Tensor {
  const [length, half] = cos.shape as [number, number];
  const kernel = fused('RotaryEmbedding', { x, cos, sin });
  if (kernel) return kernel[0]!;
  const perHead = [cos, sin].map((values) => tf.reshape(values, [length, 1, half]));
  const rest = x.shape.at(-1)! - 2 * half;
  const [first, second, passed] = tf.split(x, [half, half, rest], -1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.concat(
    [
      tf.sub(tf.mul(first, perHead[0]!), tf.mul(second, perHead[1]!)),
      tf.add(tf.mul(second, perHead[0]!), tf.mul(first, perHead[1]!)),
      ...(rest > 0 ? [passed] : []),
    ],
    -1,
  );
}

/**
 * softmax(q k^T / sqrt(c)) v, each query over the positions up to its own. q [B, S, h, c], k and v [B, S, g, c] ->
 * [B, S, h, c]; of the h heads, h / g in a row share one of keys and values.
 *
 * @param at [B, T]: the positions of each row whose queries count -> [B, T, h, c]. Not differentiable. @default - all
 */
export function causalAttention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, at?: tf.Tensor): tf.Tensor {
  if (at) return attentionAt(at, q, k, v);
  return worksInParts() ? attentionInBlocks(q, k, v) : plainAttention(q, k, v);
}

function plainAttention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  const byHead = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]); // [B, S, h, c] <-> [B, h, S, c]
  return byHead(attention(byHead(q), byHead(k), byHead(v), causalMask(0, q.shape[1]!)));
}

function attentionAt(at: tf.Tensor, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  const [B, S, h, c] = q.shape as [number, number, number, number];
  const [T, g] = [at.shape[1]!, k.shape[2]!];
  const byHead = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]);
  const positions = tf.tensor1d(
    Int32Array.from({ length: S }, (_, i) => i),
    'int32',
  );
  const later = tf.greater(positions, tf.reshape(at, [B, 1, T, 1])); // [B, 1, T, S]
  const products = tf.matMul(regroupHeads(byHead(rowsAt(q, at)), g), byHead(k), false, true);
  const scores = regroupHeads(tf.mul(products, 1 / Math.sqrt(c)), h); // [B, h, T, S]
  const weights = tf.softmax(tf.add(scores, tf.mul(tf.cast(later, 'float32'), MASKED)));
  // v^T weights^T: the few rows as columns, as in `linear` of `ops.ts`
  const output = tf.matMul(byHead(v), regroupHeads(weights, g), true, true); // [B, g, c, (h / g) * T]
  return tf.reshape(tf.transpose(tf.reshape(output, [B, g, c, h / g, T]), [0, 4, 1, 3, 2]), [B, T, h, c]);
}

/** States x [B*S, d] at positions [B, T] of each row -> [B*T, d]. */
export function statesAt(x: tf.Tensor, at: tf.Tensor, length: number): tf.Tensor {
  const d = x.shape[1]!;
  return tf.reshape(rowsAt(tf.reshape(x, [-1, length, d]), at), [-1, d]);
}

/** x [B, S, ...] at positions [B, T] of each row -> [B, T, ...]. */
function rowsAt(x: tf.Tensor, at: tf.Tensor): tf.Tensor {
  const [B, S, ...rest] = x.shape as [number, number, ...number[]];
  const starts = tf.tensor2d(
    Int32Array.from({ length: B }, (_, row) => row * S),
    [B, 1],
    'int32',
  );
  const flat = tf.reshape(tf.add(starts, at), [-1]); // [B*T]
  return tf.reshape(tf.gather(tf.reshape(x, [B * S, ...rest]), flat), [B, at.shape[1]!, ...rest]);
}

/**
 * Queries in a block. Smaller blocks compute less above the diagonal, but copy more keys and values and make smaller
 * matrix products: of 64, 128 and 256, this was the fastest at 256 and 512 positions.
 */
const BLOCK = 128;

/** The queries begin to end - 1 of one row of the batch, with the keys and values before `end` and their weights. */
interface Block {
  begin: number;
  end: number;
  /** [end - begin, h, c]; where heads share keys, [g, (h / g) * (end - begin), c]. */
  q: tf.Tensor;
  /** [end, g, c] */
  k: tf.Tensor;
  v: tf.Tensor;
  /** Softmax, [h, end - begin, end]. */
  weights: tf.Tensor;
}

function attentionInBlocks(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  const [, S, h, c] = q.shape as [number, number, number, number];
  const g = k.shape[2]!;
  const alpha = 1 / Math.sqrt(c);
  const ranges = blocksOf(S);
  const byKeys = (x: tf.Tensor) => regroupHeads(x, g);
  const byQueries = (x: tf.Tensor) => regroupHeads(x, h);
  const sequenceA = g === h; // for products whose first factor is of `queries`
  const queries = (x: tf.Tensor) => (sequenceA ? x : byKeys(swapFirst(x))); // from [n, h, c]
  let blocks: Block[] = []; // kept for the backward pass by closure: tracing frees nothing

  const forward = (save: (tensors: tf.Tensor[]) => void) => {
    const rows = [q, k, v].map(rowsOf) as [tf.Tensor[], tf.Tensor[], tf.Tensor[]];
    blocks = rows[0].flatMap((_, row) =>
      ranges.map(([begin, end]) => {
        const [query, key, value] = [
          queries(part(rows[0][row]!, begin, end)),
          part(rows[1][row]!, 0, end),
          part(rows[2][row]!, 0, end),
        ];
        const scores = headMatMul(query, key, { sequenceA, sequenceB: true, transposeB: true, alpha });
        const weights = tf.softmax(tf.add(byQueries(scores), causalMask(begin, end)));
        return { begin, end, q: query, k: key, v: value, weights };
      }),
    );
    const outputs = blocks.map(({ weights, v }) =>
      swapFirst(byQueries(headMatMul(byKeys(weights), v, { sequenceB: true }))),
    );
    const output = tf.reshape(tf.concat(outputs, 0), q.shape);
    save([output]);
    return output;
  };

  const backward = (dy: tf.Tensor, [output]: tf.Tensor[]) => {
    // The row sums of dP * P equal those of dO * O, which are narrow.
    const rowTerms = tf.sum(tf.mul(dy, output!), -1, true); // [B, S, h, 1]
    const [dO, terms] = [dy, rowTerms].map(rowsOf) as [tf.Tensor[], tf.Tensor[]];
    const parts = blocks.map(({ begin, end, q, k, v, weights }, i) => {
      const row = Math.floor(i / ranges.length);
      const dOut = queries(part(dO[row]!, begin, end));
      const term = swapFirst(part(terms[row]!, begin, end)); // [h, end - begin, 1]
      const dWeights = byQueries(headMatMul(dOut, v, { sequenceA, sequenceB: true, transposeB: true }));
      const dScores = byKeys(tf.mul(weights, tf.sub(dWeights, term))); // from [h, end - begin, end]
      // There are two ways to compute each of q^T dS and dO^T P; this one transposes the narrow factor.
      return {
        dq: swapFirst(byQueries(headMatMul(dScores, k, { sequenceB: true, alpha }))),
        dk: tf.transpose(headMatMul(q, dScores, { sequenceA, transposeA: true, alpha }), [2, 0, 1]), // [end, g, c]
        dv: tf.transpose(headMatMul(dOut, byKeys(weights), { sequenceA, transposeA: true }), [2, 0, 1]),
      };
    });
    const assembled = (pieces: tf.Tensor[]) => tf.reshape(tf.concat(pieces, 0), [dO.length, S, -1, c]);
    const byRow = dO.map((_, row) => parts.slice(row * ranges.length, (row + 1) * ranges.length));
    return [
      assembled(parts.map(({ dq }) => dq)),
      assembled(byRow.flatMap((of) => addPrefixes(of.map(({ dk }) => dk)))),
      assembled(byRow.flatMap((of) => addPrefixes(of.map(({ dv }) => dv)))),
    ];
  };
  return withGradient([q, k, v], forward, backward);
}

function blocksOf(length: number): [begin: number, end: number][] {
  const count = Math.max(1, Math.round(length / BLOCK));
  const edge = (i: number) => Math.round((i * length) / count);
  return Array.from({ length: count }, (_, i) => [edge(i), edge(i + 1)]);
}

/** The rows of the batch, [S, ...] each. */
function rowsOf(x: tf.Tensor): tf.Tensor[] {
  return tf.unstack(x);
}

/** The positions begin to end - 1 of x [S, ...]. */
function part(x: tf.Tensor, begin: number, end: number): tf.Tensor {
  return tf.slice(x, [begin, 0, 0], [end - begin, -1, -1]);
}

/** [h, s, c] -> [s, h, c], or back */
function swapFirst(x: tf.Tensor): tf.Tensor {
  return tf.transpose(x, [1, 0, 2]);
}

/**
 * The sum of tensors that all begin at position 0 and end at ever later positions. It is returned in as many pieces,
 * cut at those ends; the last tensor alone reaches into the last piece.
 */
function addPrefixes(of: tf.Tensor[]): tf.Tensor[] {
  const ends = of.map(({ shape }) => shape[0]!);
  return ends.map((end, j) => {
    const begin = j === 0 ? 0 : ends[j - 1]!;
    return tf.addN(of.slice(j).map((x) => part(x, begin, end)));
  });
}

/**
 * [end - begin, end]: 0 where a position from `begin` on may look (itself and earlier), else a large negative number.
 */
function causalMask(begin: number, end: number): tf.Tensor {
  const mask = new Float32Array((end - begin) * end);
  for (let row = 0; row < end - begin; row++) mask.fill(MASKED, row * end + begin + row + 1, (row + 1) * end);
  return tf.tensor2d(mask, [end - begin, end]);
}

interface HeadMatMul {
  /** Whether the factor is [rows, h, columns] rather than [h, rows, columns]. */
  sequenceA?: boolean;
  sequenceB?: boolean;
  transposeA?: boolean;
  transposeB?: boolean;
  alpha?: number;
}

/** The product alpha a b of each head, [h, rows, columns]. */
function headMatMul(a: tf.Tensor, b: tf.Tensor, options: HeadMatMul): tf.Tensor {
  return fused('HeadMatMul', { a, b }, options)![0]!;
}
