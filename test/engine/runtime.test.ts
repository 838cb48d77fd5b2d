import * as tf from '@tensorflow/tfjs-core';
import ort from 'onnxruntime-node';
import { describe, expect, it, vi } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { initialParameters, ParameterSet, type ParameterSpec } from '../../engine/parameters.ts';
import { gpuCompiler } from '../../engine/runtime/eager.ts';
import { createRuntime, loadOnnx, type Program } from '../../engine/runtime/runtime.ts';
import { randomTokens, TINY_GPT, tokenBatch } from './support.ts';

describe('tfjs-gpu', () => {
  it('without its package says what is missing and what to do', async () => {
    await expect(createRuntime('tfjs-gpu')).rejects.toThrow(ConfigError);
    await expect(createRuntime('tfjs-gpu')).rejects.toThrow(
      /tfjs-node-gpu cannot be loaded .* set engine\.runtime to onnx/,
    );
  });

  it('without a GPU is refused rather than run on the CPU', async () => {
    const load = async () => {
      await import('@tensorflow/tfjs-backend-cpu');
      if (!tf.findBackend('tensorflow')) tf.registerBackend('tensorflow', () => tf.findBackend('cpu'));
    };
    await expect(gpuCompiler(load)).rejects.toThrow('TensorFlow found no GPU');
  });
});

it.each([
  ['ERR_DLOPEN_FAILED', 'Error loading shared library ld-linux-x86-64.so.2: No such file or directory'],
  ['MODULE_NOT_FOUND', "Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'\nRequire stack:"],
])('ONNX Runtime on a system without its library says where it runs (%s)', async (code, message) => {
  const load = () => Promise.reject(Object.assign(new Error(message), { code }));
  await expect(loadOnnx('onnx', load)).rejects.toThrow(ConfigError);
  const found = `(${message.split('\n')[0]}). It needs Linux with glibc`;
  await expect(loadOnnx('onnx', load)).rejects.toThrow(found);
  await expect(loadOnnx('onnx', load)).rejects.toThrow(/ or set engine\.runtime to tfjs-cpu, /);
  const fault = () => Promise.reject(new TypeError('a fault of ours'));
  await expect(loadOnnx('onnx', fault)).rejects.toThrow(TypeError);
});

describe.each(['onnx', 'tfjs-cpu'] as const)('%s', (name) => {
  const specs: ParameterSpec[] = [{ name: 'w', shape: [2, 3], init: { std: 1 } }];
  const square: Program = {
    key: 'square',
    parameters: specs,
    inputs: { x: { shape: [3], dtype: 'float32' } },
    differentiate: true,
    build: ({ w }, { x }) => tf.sum(tf.square(tf.mul(w!, x!))),
  };
  const x = Float32Array.of(1, 2, 3);

  it('writes gradients over what is in the given set and reads parameters as they are now', async () => {
    const executable = await (await createRuntime(name, { threads: 1 })).compile(square);
    const [parameters, gradient] = [new ParameterSet(specs), new ParameterSet(specs)];
    gradient.flat.fill(Number.NaN);
    parameters.flat.fill(1);
    expect([...(await executable.run(parameters, { x }, gradient))]).toEqual([28]);
    expect([...gradient.flat]).toEqual([2, 8, 18, 2, 8, 18]);
    parameters.flat.fill(2);
    expect([...(await executable.run(parameters, { x }, gradient))]).toEqual([112]);
    expect([...gradient.flat]).toEqual([4, 16, 36, 4, 16, 36]);
  });

  it('compiles a program once for its key, also when asked twice at a time', async () => {
    const runtime = await createRuntime(name, { threads: 1 });
    const [a, b] = await Promise.all([runtime.compile(square), runtime.compile({ ...square })]);
    expect(a).toBe(b);
    await runtime.dispose();
    expect(await runtime.compile(square)).not.toBe(a);
  });

  it('does not remember a program that failed to compile', async () => {
    const runtime = await createRuntime(name, { threads: 1 });
    const broken: Program = {
      ...square,
      build: () => {
        throw new Error('broken');
      },
    };
    const parameters = new ParameterSet(specs);
    const attempt = async () => (await runtime.compile(broken)).run(parameters, { x }, new ParameterSet(specs));
    await expect(attempt()).rejects.toThrow('broken');
    if (name === 'onnx') await expect(runtime.compile(square)).resolves.toBeDefined();
  });

  it('keeps the results of calls in flight apart', async () => {
    const executable = await (await createRuntime(name, { threads: 1 })).compile({ ...square, key: 'parallel' });
    const gradients = [1, 2, 3].map(() => new ParameterSet(specs));
    const results = await Promise.all(
      gradients.map((gradient, i) => {
        const parameters = new ParameterSet(specs);
        parameters.flat.fill(i);
        return executable.run(parameters, { x }, gradient);
      }),
    );
    expect(results.map(([value]) => value)).toEqual([0, 28, 112]);
    expect(gradients.map(({ flat }) => flat[2])).toEqual([0, 18, 36]);
  });

  it('refuses inputs of the wrong size or type, other parameters, and a missing gradient', async () => {
    const executable = await (await createRuntime(name, { threads: 1 })).compile(square);
    const parameters = new ParameterSet(specs);
    const gradient = new ParameterSet(specs);
    const run = (...args: Parameters<typeof executable.run>) => executable.run(...args);
    await expect(run(parameters, { x: new Float32Array(2) }, gradient)).rejects.toThrow('needs 3 float32 values');
    await expect(run(parameters, { x: new Int32Array(3) }, gradient)).rejects.toThrow('needs 3 float32 values');
    await expect(run(parameters, {}, gradient)).rejects.toThrow('got none');
    await expect(run(parameters, { x })).rejects.toThrow('needs a place for its gradient');
    const other = new ParameterSet([{ name: 'v', shape: [2, 3], init: 'zeros' }]);
    await expect(run(other, { x }, gradient)).rejects.toThrow('do not match');
  });
});

it('ONNX Runtime gives the same bits for one and two threads, in every session and every run', async () => {
  const shape = { ...TINY_GPT, width: 48, heads: 4, vocabularySize: 96 };
  // Few different tokens: most rows of the embedding's gradient are sums over many positions.
  const batch = { ...tokenBatch(8, 48, 12), weights: undefined };
  const results: [number, Float32Array][] = [];
  for (const threads of [1, 1, 2, 2]) {
    const runtime = await createRuntime('onnx', { threads });
    const model = new LanguageModel(runtime, shape);
    const gradient = new ParameterSet(model.specs);
    for (let run = 0; run < 2; run++) {
      const loss = await model.lossAndGradient(initialParameters(model.specs, 3), batch, gradient);
      results.push([loss, gradient.flat.slice()]);
    }
    await runtime.dispose();
  }
  const [loss, gradient] = results[0]!;
  for (const [otherLoss, otherGradient] of results) {
    expect(otherLoss).toBe(loss);
    expect(Buffer.from(otherGradient.buffer).equals(Buffer.from(gradient.buffer))).toBe(true);
  }
});

it('few rows do not hold a graph to few threads, and have the same bits on many', async () => {
  const shape = { ...TINY_GPT, width: 64, heads: 4, vocabularySize: 96 };
  const [batch, length] = [4, 150];
  const tokens = randomTokens(batch * length, 96);
  const at = Int32Array.of(149, 3, 140, 77);
  const states: Float32Array[] = [];
  const create = vi.spyOn(ort.InferenceSession, 'create');
  for (const threads of [1, 2, 3]) {
    const runtime = await createRuntime('onnx', { threads });
    const model = new LanguageModel(runtime, shape);
    states.push(await model.hiddenStatesAt(initialParameters(model.specs, 3), { batch, length, tokens }, at));
    await runtime.dispose();
  }
  const given = create.mock.calls.map(([, options]) => options as { intraOpNumThreads: number });
  create.mockRestore();
  expect(given.map(({ intraOpNumThreads }) => intraOpNumThreads)).toEqual([1, 2, 3]);
  for (const other of states) expect(other).toEqual(states[0]);
});
