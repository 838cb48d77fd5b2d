/** Programs run op by op by a tfjs backend: `tfjs-cpu`, the reference that tests compare with, and `tfjs-gpu`. */
import * as tf from '@tensorflow/tfjs-core';
import { ConfigError } from '../../core/errors.ts';
import type { ParameterSet } from '../parameters.ts';
import {
  type Compiler,
  checkInputs,
  type Executable,
  gradientProgram,
  type Inputs,
  inputSize,
  type Program,
  type Tensors,
} from './program.ts';

export async function cpuCompiler(): Promise<Compiler> {
  // Otherwise tfjs recommends its native backend at every start, though the CPU was asked for.
  tf.enableProdMode();
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  return backendCompiler('cpu');
}

const GPU_PACKAGE = '@tensorflow/tfjs-node-gpu';

/** @param load loads the native package, which registers the backend `tensorflow`; tests replace it. */
export async function gpuCompiler(load: () => Promise<unknown> = () => import(GPU_PACKAGE)): Promise<Compiler> {
  try {
    await load();
  } catch (error) {
    throw new ConfigError(
      `engine.runtime is tfjs-gpu, but ${GPU_PACKAGE} cannot be loaded (${(error as Error).message.split('\n')[0]}). ` +
        'Run in the GPU image, install that package, or set engine.runtime to onnx.',
    );
  }
  await tf.setBackend('tensorflow');
  const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean };
  if (!isUsingGpuDevice)
    throw new ConfigError(
      'engine.runtime is tfjs-gpu, but TensorFlow found no GPU and would run on the CPU. ' +
        'Check the driver (nvidia-smi) and the CUDA libraries, or set engine.runtime to onnx.',
    );
  return backendCompiler('tensorflow');
}

/** Programs run by a backend of tfjs, which must be registered. */
export function backendCompiler(backend: string): Compiler {
  return {
    compile: async (program) => {
      if (program.int8) throw new RangeError(`${program.key}: only the runtime onnx multiplies in 8 bits`);
      return new EagerExecutable(program, backend);
    },
  };
}

/** The output's key among the parameters' names, none of which is empty. */
const OUTPUT = '';

class EagerExecutable implements Executable {
  private readonly program: Program;
  private readonly backend: string;

  constructor(program: Program, backend: string) {
    this.program = program;
    this.backend = backend;
  }

  async run(parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): Promise<Float32Array> {
    const { program } = this;
    checkInputs(program, parameters, inputs, gradient);
    // Takes effect at once, since the backend is loaded: nothing can choose another one before the program runs.
    void tf.setBackend(this.backend);
    return tf.tidy(() => {
      const parameterTensors = Object.fromEntries(
        // The copy keeps tfjs from holding on to memory that the optimizer changes.
        program.parameters.map(({ name, shape }) => [name, tf.tensor(parameters.view(name).slice(), shape)]),
      );
      let sum = tf.tidy(() => this.microBatch(parameterTensors, inputs, 0));
      for (let i = 1; i < (program.microBatches ?? 1); i++) {
        const before = sum;
        sum = tf.tidy(() => addAll(before, this.microBatch(parameterTensors, inputs, i)));
        tf.dispose(before);
      }
      if (gradient)
        for (const { name } of program.parameters) gradient.view(name).set(sum[name]!.dataSync<'float32'>());
      return sum[OUTPUT]!.dataSync<'float32'>().slice();
    });
  }

  /** The output, and the gradients by their parameters' names. */
  private microBatch(parameters: Tensors, inputs: Inputs, index: number): Record<string, tf.Tensor> {
    const inputTensors = Object.fromEntries(
      Object.entries(this.program.inputs).map(([name, spec]) => {
        const size = inputSize({ ...this.program, microBatches: 1 }, spec);
        const part = inputs[name]!.slice(index * size, (index + 1) * size);
        return [name, tf.tensor(part, [...spec.shape], spec.dtype)];
      }),
    );
    const { output, gradients } = gradientProgram(this.program, parameters, inputTensors);
    return { ...gradients, [OUTPUT]: output };
  }

  async dispose(): Promise<void> {}
}

function addAll(a: Record<string, tf.Tensor>, b: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(a).map(([name, tensor]) => [name, tf.add(tensor, b[name]!)]));
}
