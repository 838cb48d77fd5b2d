import * as tf from '@tensorflow/tfjs-core';
import type { Program, Tensors } from './runtime.ts';

/** Calls the program's function and, where it asks for it, differentiates it by every parameter. */
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
