import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { decoderLoss, decoderSpecs, decoderTokenLosses } from '../../engine/decoder/decoder.ts';
import { ParameterSet, type ParameterSpec } from '../../engine/parameters.ts';
import { createRuntime, type Program, type Runtime } from '../../engine/runtime/runtime.ts';
import { trace } from '../../engine/trace/backend.ts';
import { Graph } from '../../engine/trace/graph.ts';
import { RULES } from '../../engine/trace/kernels.ts';
import { ProtobufWriter } from '../../engine/trace/protobuf.ts';
import { randomParameters, relativeDifferences, TINY_GPT } from './support.ts';

let onnx: Runtime;
let reference: Runtime;

beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 1 });
  reference = await createRuntime('tfjs-cpu');
});

const specs: ParameterSpec[] = [
  { name: 'x', shape: [3, 4], init: { std: 1 } },
  { name: 'y', shape: [3, 4], init: { std: 1 } },
  { name: 'row', shape: [4], init: { std: 1 } },
  { name: 'cube', shape: [2, 3, 4], init: { std: 1 } },
];
const ids = () => tf.tensor1d([2, 0, 2], 'int32');

/** A use of each kernel, by a name that says which. */
const uses: Record<string, (p: Record<'x' | 'y' | 'row' | 'cube', tf.Tensor>) => tf.Tensor> = {
  'Neg, Erf, Exp, Log, Reciprocal, Sigmoid, Square': ({ x }) => {
    const positive = tf.add(tf.square(x), 0.5);
    return tf.addN([tf.neg(x), tf.erf(x), tf.exp(x), tf.log(positive), tf.reciprocal(positive), tf.sigmoid(x)]);
  },
  'Add, Sub, Multiply with broadcasting': ({ x, row, cube }) =>
    tf.mul(tf.sub(tf.mul(cube, x), row), tf.add(tf.square(row), 1)),
  'Maximum, Greater': ({ x, y }) => tf.add(tf.maximum(x, y), tf.cast(tf.greater(x, y), 'float32')),
  'Sum, Mean, Max over axes': ({ cube }) =>
    tf.addN([tf.sum(cube, [0, 2]), tf.mean(cube, [0, -1]), tf.reshape(tf.max(cube, [0, 2], true), [3])]),
  'Sum of everything': ({ cube }) => tf.sum(cube),
  Softmax: ({ x }) => tf.softmax(x),
  'BatchMatMul, all transpositions': ({ x, y }) =>
    tf.concat([
      tf.reshape(tf.matMul(x, y, true), [16]),
      tf.reshape(tf.matMul(x, y, false, true), [9]),
      tf.reshape(tf.matMul(tf.matMul(x, y, true), x, true, true), [12]),
      tf.reshape(tf.matMul(tf.matMul(x, y, false, true), x), [12]),
    ]),
  'BatchMatMul of batches, with a broadcast': ({ x, cube }) =>
    tf.matMul(tf.matMul(cube, cube, true), tf.reshape(x, [1, 3, 4]), false, true),
  'Transpose, Reshape, Identity, Cast': ({ cube }) =>
    tf.cast(tf.cast(tf.clone(tf.reshape(tf.transpose(cube, [2, 0, 1]), [4, 1, 2, 3])), 'int32'), 'float32'),
  'Concat, Slice': ({ x, y }) => tf.concat([y, x, tf.slice(x, [0, 1], [3, 2])], 1),
  'Pack, Unpack': ({ x, y }) => tf.stack(tf.unstack(tf.stack([x, y], 1), 1).reverse(), -1),
  OnesLike: ({ x }) => tf.add(x, tf.onesLike(x)),
  GatherV2: ({ x, cube }) => tf.add(tf.gather(x, ids()), tf.slice(tf.gather(cube, ids(), 1), [1, 0, 0], [1, 3, 4])),
  ScatterNd: ({ x }) => tf.scatterND(tf.reshape(ids(), [3, 1]) as tf.Tensor, x, [4, 4]),
};

function program(key: string, build: Program['build'], differentiate = false): Program {
  return { key, parameters: specs, inputs: {}, build, differentiate };
}

describe('a traced program', () => {
  it.each(Object.entries(uses))('computes %s as the tfjs CPU backend does', async (key, use) => {
    const values = randomParameters(specs);
    const traced = program(key, (p) => use(p as Parameters<typeof use>[0]));
    const actual = await (await onnx.compile(traced)).run(values, {});
    const expected = await (await reference.compile(traced)).run(values, {});
    expect(actual.length).toBe(expected.length);
    actual.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 4);
    });
  });

  it('is differentiated by tfjs while it is traced', async () => {
    const differentiated = program(
      'derivative',
      (p) => {
        const [first, , last] = tf.unstack(p.y!, 0) as [tf.Tensor, tf.Tensor, tf.Tensor];
        const turned = tf.transpose(tf.reshape(p.x!, [1, 4, 3]), [0, 2, 1]);
        return tf.sum(tf.mul(tf.sub(tf.square(tf.add(p.cube!, p.row!)), turned), tf.sub(first, tf.clone(last))));
      },
      true,
    );
    const values = randomParameters(specs);
    const [actual, expected] = [new ParameterSet(specs), new ParameterSet(specs)];
    await (await onnx.compile(differentiated)).run(values, {}, actual);
    await (await reference.compile(differentiated)).run(values, {}, expected);
    for (const difference of Object.values(relativeDifferences(actual, expected)))
      expect(difference).toBeLessThan(1e-5);
  });

  it('may return a parameter, a constant, or one value as several outputs', async () => {
    const values = randomParameters(specs);
    expect(await (await onnx.compile(program('parameter', (p) => p.x!))).run(values, {})).toEqual(
      values.view('x').slice(),
    );
    const constant = program('constant', () => tf.tensor1d([1, 2]));
    expect(await (await onnx.compile(constant)).run(values, {})).toEqual(Float32Array.of(1, 2));
    const gradient = new ParameterSet(specs);
    const sum = program('sum', (p) => specs.map(({ name }) => tf.sum(p[name]!)).reduce((a, b) => tf.add(a, b)), true);
    await (await onnx.compile(sum)).run(values, {}, gradient);
    expect(gradient.flat.every((value) => value === 1)).toBe(true);
  });

  it('is refused when a kernel has no rule, by the kernel’s name', async () => {
    await expect(onnx.compile(program('topk', (p) => tf.topk(p.x!).values))).rejects.toThrow(
      'the tfjs kernel TopK has no rule',
    );
  });

  it('is refused when it reads data or uses tensors made outside', async () => {
    await expect(onnx.compile(program('reads', (p) => tf.scalar(p.x!.dataSync()[0]!)))).rejects.toThrow(
      'may not read the data',
    );
    await tf.setBackend('cpu');
    const outside = tf.ones([3, 4]);
    await expect(onnx.compile(program('outside', (p) => tf.add(p.x!, outside)))).rejects.toThrow('outside the program');
    expect(tf.getBackend()).toBe('cpu');
  });
});

describe('the graph', () => {
  it('of a forward pass has nothing of the backward pass', () => {
    const inputs = { tokens: { shape: [2, 5], dtype: 'int32' }, targets: { shape: [10], dtype: 'int32' } } as const;
    const weights = { shape: [10], dtype: 'float32' } as const;
    const parameters = decoderSpecs(TINY_GPT);
    const forward = trace({
      key: 'forward',
      parameters,
      inputs: { ...inputs, weights },
      differentiate: false,
      build: (p, i) => decoderLoss(TINY_GPT, p, i.tokens!, i.targets!, i.weights!),
    });
    const losses = trace({
      key: 'losses',
      parameters,
      inputs,
      differentiate: false,
      build: (p, i) => decoderTokenLosses(TINY_GPT, p, i.tokens!, i.targets!),
    });
    // The gradients that the cross-entropy computes beforehand are not asked for: what is left is the weighted sum.
    expect(forward.nodes.length).toBeGreaterThan(forward.liveNodes().length);
    expect(forward.liveNodes().length - losses.liveNodes().length).toBeLessThanOrEqual(3);
    expect(losses.liveNodes().some(({ op }) => op.startsWith('Scatter'))).toBe(false);
  });

  it('collapses reshapes and drops those that change nothing', () => {
    const graph = new Graph();
    const x = graph.input('x', [2, 6], 'float32');
    const once = graph.reshape(x, [3, 4]);
    expect(graph.reshape(graph.reshape(once, [12]), [2, 6])).toBe(x);
    expect(graph.reshape(graph.reshape(x, [12]), [3, 4])).toBe(once);
    expect(graph.nodes).toHaveLength(2);
  });

  it('leaves out multiplications by the constant one', () => {
    const graph = new Graph();
    const x = graph.input('x', [2], 'float32');
    expect(RULES.Multiply!(graph, { a: x, b: graph.float(1) }, {})).toBe(x);
    expect(graph.nodes).toHaveLength(0);
  });
});

describe('protocol buffers', () => {
  it('are written as the encoding guide’s examples say', () => {
    const writer = new ProtobufWriter();
    writer.integer(1, 150);
    writer.string(2, 'testing');
    writer.message(3, (inner) => inner.integer(1, 150));
    writer.integer(4, -1);
    writer.float(5, 1);
    expect(Buffer.from(writer.finish()).toString('hex')).toBe(
      '089601' + '120774657374696e67' + '1a03089601' + '20ffffffffffffffffff01' + '2d0000803f',
    );
  });
});
