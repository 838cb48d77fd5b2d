import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { linear } from '../../engine/ops.ts';
import { ParameterSet, type ParameterSpec } from '../../engine/parameters.ts';
import { OnnxCompiler } from '../../engine/runtime/onnx.ts';
import { createRuntime, type Precision, type Program, Runtime } from '../../engine/runtime/runtime.ts';
import type { Computation, Value } from '../../engine/trace/graph.ts';
import { Graph } from '../../engine/trace/graph.ts';
import { mixedPrecision } from '../../engine/trace/mixed-precision.ts';
import { documentBatch, randomParameters, TINY_BERT, TINY_GPT, tokenBatch } from './support.ts';

/** Rounds to 8 bits of mantissa, halves to even. */
function bfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}

describe('a matrix product in mixed precision', () => {
  const specs: ParameterSpec[] = [{ name: 'w', shape: [2, 3], init: 'zeros' }];
  const product: Program = {
    key: 'product',
    parameters: specs,
    inputs: { x: { shape: [1, 3], dtype: 'float32' } },
    differentiate: true,
    build: ({ w }, { x }) => tf.sum(linear(x!, { weight: w! })),
  };
  const w = [1.001, 2.003, 3.1, 4.7, 5.3, 6.77];
  const x = [0.3, 1.1, 0.77];

  async function run(precision: Precision, program = product) {
    const runtime = new Runtime('onnx', new OnnxCompiler({ threads: 1, precision }));
    const parameters = new ParameterSet(specs, Float32Array.from(w));
    const gradient = new ParameterSet(specs);
    const executable = await runtime.compile(program);
    const [y] = await executable.run(
      parameters,
      { x: Float32Array.from(x) },
      program.differentiate ? gradient : undefined,
    );
    return { y: y!, gradient: [...gradient.flat] };
  }
  const rows = (round: (value: number) => number) =>
    [0, 1].map((row) => round(x.reduce((sum, value, i) => sum + round(value) * round(w[3 * row + i]!), 0)));

  it('rounds factors and result to bfloat16, and accumulates in more', async () => {
    const [a, b] = rows(bfloat16) as [number, number];
    expect((await run('mixed')).y).toBe(Math.fround(a + b));
    expect((await run('float32')).y).not.toBe(Math.fround(a + b));
  });

  it('has the rounded factors in its gradient', async () => {
    // The derivative by w[i, j] is x[j]: one product, of ones and of x rounded.
    expect((await run('mixed')).gradient).toEqual([...x, ...x].map(bfloat16));
  });

  it('stays in float32 where only the value is asked for', async () => {
    const forward = { ...product, key: 'forward', differentiate: false };
    expect((await run('mixed', forward)).y).toBe((await run('float32', forward)).y);
  });
});

const gpt = (runtime: Runtime) => {
  const model = new LanguageModel(runtime, { ...TINY_GPT, width: 48, vocabularySize: 96 });
  const batch = tokenBatch(4, 24, 96);
  return {
    specs: model.specs,
    loss: (p: ParameterSet, g: ParameterSet, microBatches = 1) =>
      model.lossAndGradient(p, { ...batch, microBatches }, g),
  };
};
const bert = (runtime: Runtime) => {
  const model = new InfluenceRegressor(runtime, TINY_BERT);
  const labels = { labels: Float32Array.of(0.5, -1, 2), weights: Float32Array.of(1, 0.5, 2) };
  const batch = { ...documentBatch(6, TINY_BERT.vocabularySize), ...labels };
  return {
    specs: model.specs,
    loss: (p: ParameterSet, g: ParameterSet) => model.lossAndGradient(p, batch, undefined, g),
  };
};

describe.each([
  ['GPT-NeoX', gpt],
  ['BERT', bert],
])('%s', (_, make) => {
  it('has nearly the loss and the gradient of float32, and not the same', async () => {
    const [mixed, full] = [await of('mixed'), await of('float32')];
    expect(mixed.loss).not.toBe(full.loss);
    // A rounding to 8 bits is up to 2^-9 = 0.2 % off; a gradient has gone through some ten products.
    expect(Math.abs(mixed.loss / full.loss - 1)).toBeLessThan(0.01);
    expect(distance(mixed.gradient, full.gradient)).toBeLessThan(0.04);
  });

  async function of(precision: Precision) {
    const { specs, loss } = make(await createRuntime('onnx', { threads: 1, precision }));
    const gradient = new ParameterSet(specs);
    return { loss: await loss(randomParameters(specs), gradient), gradient: gradient.flat };
  }
});

it('sums the gradients of micro-batches in float32', async () => {
  const { specs, loss } = gpt(await createRuntime('onnx', { threads: 1, precision: 'mixed' }));
  const parameters = randomParameters(specs);
  const [inParts, whole] = [new ParameterSet(specs), new ParameterSet(specs)];
  await loss(parameters, inParts, 4);
  await loss(parameters, whole);
  expect(distance(inParts.flat, whole.flat)).toBeLessThan(0.01);
  const sums = inParts.view('embed_out.weight');
  expect(sums.some((g) => g !== bfloat16(g))).toBe(true);
});

describe('the graph', () => {
  it('has products in bfloat16, casts around them, and no other operator that is not float32', () => {
    const graph = new Graph();
    const [x, w] = [graph.input('x', [2, 3], 'float32'), graph.input('w', [3, 3], 'float32')];
    const residual = graph.op('Softmax', [x], [2, 3]);
    const attributes = { transA: 0, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } };
    const first = graph.op('Gemm', [x, w, residual], [2, 3], { attributes });
    graph.output('y', graph.op('MatMul', [first, w], [2, 3]));
    const { nodes, outputs } = mixedPrecision(graph.live(), 'native');
    expect(nodes.map(({ op, outputs }) => `${op} ${outputs[0]!.type}`)).toEqual([
      'Softmax float32',
      'Cast bfloat16', // x
      'Cast bfloat16', // w, once for both products
      'Gemm bfloat16',
      'Mul float32', // beta times the residual, which stays as it is
      'Cast float32',
      'Add float32',
      'Cast bfloat16',
      'MatMul bfloat16',
      'Cast float32',
    ]);
    expect(nodes[3]!.attributes).toEqual({ transA: 0, transB: 1, alpha: { float: 0.5 } });
    expect(outputs[0]!.value.type).toBe('float32');
    expect(typesAreConsistent({ inputs: [], nodes, outputs })).toBe(true);
  });

  it('emulates them where there are no kernels for bfloat16', () => {
    const graph = new Graph();
    const [x, w] = [graph.input('x', [2, 3], 'float32'), graph.input('w', [3, 3], 'float32')];
    graph.output('y', graph.op('MatMul', [x, w], [2, 3]));
    const { nodes } = mixedPrecision(graph.live(), 'emulated');
    expect(nodes.find(({ op }) => op === 'MatMul')!.inputs.map(({ type }) => type)).toEqual(['float32', 'float32']);
    expect(nodes.filter(({ op }) => op === 'Cast')).toHaveLength(6);
  });
});

/** Every operator but Cast has factors of one type. */
function typesAreConsistent({ nodes }: Computation): boolean {
  const types = (values: readonly Value[]) => new Set(values.map(({ type }) => type)).size;
  return nodes.every(({ op, inputs, outputs }) => op === 'Cast' || types([...inputs, ...outputs]) === 1);
}

function distance(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}
