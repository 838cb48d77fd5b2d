/** Defines a computation, and what makes it executable: the runtimes and the tracer all build on this. */
import * as tf from '@tensorflow/tfjs-core';
import type { Int8Matrix } from '../int8-parameters.ts';
import { type ParameterSet, type ParameterSpec, sizeOf } from '../parameters.ts';

export interface InputSpec {
  shape: readonly number[];
  dtype: 'float32' | 'int32';
}

export type Tensors = Readonly<Record<string, tf.Tensor>>;
export type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

/** A computation on a model's parameters, written once in tfjs ops, with every shape fixed. */
export interface Program {
  /**
   * Names the computation and every number that its graph depends on: two programs with one key have the same graph.
   */
  key: string;
  parameters: readonly ParameterSpec[];
  inputs: Readonly<Record<string, InputSpec>>;
  /** Pure and synchronous, and must not read a tensor's data: `onnx` runs it once, to record the graph. */
  build(parameters: Tensors, inputs: Tensors): tf.Tensor;
  /** Whether the output, which is then a scalar, is differentiated with respect to every parameter. */
  differentiate: boolean;
  /**
   * How many micro-batches one run computes: each input then has a leading dimension of that size, which `build` does not
   * see, and output and gradients are summed in the micro-batches' order, in float32.
   *
   * @default 1, without that dimension
   */
  microBatches?: number;
  /**
   * Weights whose products are computed in 8 bits, by name. They are part of the program, and its key must reflect
   * them. Only `onnx` supports this.
   *
   * @default - none
   */
  int8?: ReadonlyMap<string, Int8Matrix>;
}

/** The number of elements that an input has in one run. */
export function inputSize({ microBatches = 1 }: Program, { shape }: InputSpec): number {
  return microBatches * sizeOf(shape);
}

export interface Executable {
  /**
   * Computes the program's output, row-major. For a program that differentiates, every element of `gradient` is
   * overwritten with the output's derivative with respect to that parameter.
   */
  run(parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Makes programs executable on one engine. */
export interface Compiler {
  compile(program: Program): Promise<Executable>;
}

/** Calls the program's function and, if the program asks for it, differentiates it with respect to every parameter. */
export function gradientProgram(
  program: Program,
  parameters: Tensors,
  inputs: Tensors,
): { output: tf.Tensor; gradients: Tensors } {
  if (!program.differentiate) return { output: program.build(parameters, inputs), gradients: {} };
  const names = program.parameters.map(({ name }) => name);
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) =>
    program.build(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), inputs),
  )(names.map((name) => parameters[name]!));
  return { output: value, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])) };
}

/** Refuses inputs that do not fit the program: a short array would otherwise be read past its end by native code. */
export function checkInputs(program: Program, parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): void {
  const expected = program.parameters.length;
  for (const set of gradient ? [parameters, gradient] : [parameters])
    if (set.specs !== program.parameters && !sameSpecs(set.specs, program.parameters))
      throw new RangeError(`${program.key}: ${set.specs.length} parameters do not match the model's ${expected}`);
  if (program.differentiate !== (gradient !== undefined))
    throw new RangeError(`${program.key}: ${gradient ? 'has no' : 'needs a place for its'} gradient`);
  for (const [name, spec] of Object.entries(program.inputs)) {
    const { shape, dtype } = spec;
    const value = inputs[name];
    const size = inputSize(program, spec);
    const right = dtype === 'int32' ? value instanceof Int32Array : value instanceof Float32Array;
    if (!right || value?.length !== size)
      throw new RangeError(
        `${program.key}: input ${name} needs ${size} ${dtype} values [${shape}], got ${value?.length ?? 'none'}`,
      );
  }
}

function sameSpecs(a: readonly ParameterSpec[], b: readonly ParameterSpec[]): boolean {
  return (
    a.length === b.length && a.every((spec, i) => spec.name === b[i]!.name && `${spec.shape}` === `${b[i]!.shape}`)
  );
}
