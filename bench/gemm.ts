/**
 * The machine's matrix-product rate in the engine that trains: `npx tsx bench/gemm.ts`. It is the ceiling of every
 * other figure, so figures of two machines, or of a busy and an idle one, can be compared as shares of it.
 */
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { ParameterSet } from '../engine/parameters.ts';
import { createRuntime } from '../engine/runtime/runtime.ts';

/**
 * [rows, inner, columns]: a cube that shows the ceiling, then a batch of 1,024 tokens in MLPs of widths 128 and 384.
 */
export const GEMM_SHAPES: readonly [number, number, number][] = [
  [1024, 1024, 1024],
  [1024, 128, 512],
  [1024, 384, 1536],
];

const WARM_UP = 3;
const SECONDS = 0.7;

/**
 * GFLOP/s of float32 `[m, k] x [k, n]` on this many threads; a multiply-add counts as two. It is the best of the
 * repetitions, since other load on the machine can only lower the rate.
 */
export async function gemmRate(threads: number, [m, k, n] = GEMM_SHAPES[0]!): Promise<number> {
  const runtime = await createRuntime('onnx', { threads });
  const executable = await runtime.compile({
    key: `gemm ${m}x${k}x${n}`,
    parameters: [],
    inputs: { a: { shape: [m, k], dtype: 'float32' }, b: { shape: [k, n], dtype: 'float32' } },
    differentiate: false,
    build: (_, { a, b }) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D),
  });
  const none = new ParameterSet([]);
  const inputs = { a: new Float32Array(m * k).fill(0.5), b: new Float32Array(k * n).fill(0.25) };
  for (let i = 0; i < WARM_UP; i++) await executable.run(none, inputs);
  let best = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end; ) {
    const started = performance.now();
    await executable.run(none, inputs);
    best = Math.min(best, performance.now() - started);
  }
  await runtime.dispose();
  return (2 * m * k * n) / best / 1e6;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const shape of GEMM_SHAPES) {
    const [one, two] = [await gemmRate(1, shape), await gemmRate(2, shape)];
    console.log(`GEMM ${shape.join(' x ')}: ${one.toFixed(0)} GFLOP/s on 1 thread, ${two.toFixed(0)} on 2`);
  }
}
