import type { Tensor } from '@tensorflow/tfjs-core';
import { ConfigError } from '../../core/errors.ts';
import type { ParameterSet, ParameterSpec } from '../parameters.ts';

export type RuntimeName = 'onnx' | 'tfjs-cpu' | 'tfjs-gpu';

export interface InputSpec {
  shape: readonly number[];
  dtype: 'float32' | 'int32';
}

export type Tensors = Readonly<Record<string, Tensor>>;
export type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

/** A computation on a model's parameters, written once in tfjs ops, with every shape fixed. */
export interface Program {
  /** Names the computation and every number its graph depends on: two programs with one key are the same graph. */
  key: string;
  parameters: readonly ParameterSpec[];
  inputs: Readonly<Record<string, InputSpec>>;
  /** Pure and synchronous, and may not read a tensor's data: it is run once, to record the graph, by `onnx`. */
  build(parameters: Tensors, inputs: Tensors): Tensor;
  /** Whether the output, then a scalar, is differentiated by every parameter. */
  differentiate: boolean;
}

export interface Executable {
  /**
   * Computes the program's output, row-major. For a program that differentiates, every element of `gradient` is
   * overwritten with the output's derivative by that parameter.
   */
  run(parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** What makes a program executable on one engine. */
export interface Compiler {
  compile(program: Program): Promise<Executable>;
}

/** An engine with its compiled programs, one for each key. */
export class Runtime {
  readonly name: RuntimeName;
  private readonly compiler: Compiler;
  private readonly executables = new Map<string, Promise<Executable>>();

  constructor(name: RuntimeName, compiler: Compiler) {
    this.name = name;
    this.compiler = compiler;
  }

  compile(program: Program): Promise<Executable> {
    let executable = this.executables.get(program.key);
    if (!executable) {
      executable = this.compiler.compile(program);
      this.executables.set(program.key, executable);
      // A failure is reported to this caller and tried again for the next.
      executable.catch(() => this.executables.delete(program.key));
    }
    return executable;
  }

  /** Frees the compiled programs and their memory. */
  async dispose(): Promise<void> {
    const compiled = [...this.executables.values()];
    this.executables.clear();
    for (const executable of compiled) await (await executable).dispose();
  }
}

export interface RuntimeOptions {
  /** Threads of one computation; 0 is one for each core. The tfjs runtimes ignore it. */
  threads?: number;
}

/**
 * The engine called `name`. Its libraries are loaded here and not before: a job that needs one does not pay for the
 * others.
 * @throws ConfigError when `tfjs-gpu` is asked for and its package or a GPU is missing: never a silent run on the CPU.
 */
export async function createRuntime(name: RuntimeName, { threads = 0 }: RuntimeOptions = {}): Promise<Runtime> {
  switch (name) {
    case 'onnx': {
      const { OnnxCompiler } = await import('./onnx.ts');
      return new Runtime(name, new OnnxCompiler(threads));
    }
    case 'tfjs-cpu': {
      const { cpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await cpuCompiler());
    }
    case 'tfjs-gpu': {
      const { gpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await gpuCompiler());
    }
    default:
      throw new ConfigError(`engine.runtime: "${name}" is unknown; expected onnx, tfjs-cpu or tfjs-gpu.`);
  }
}

/** Refuses inputs that do not fit the program: a short array would otherwise be read past its end by native code. */
export function checkInputs(program: Program, parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): void {
  const expected = program.parameters.length;
  for (const set of gradient ? [parameters, gradient] : [parameters])
    if (set.specs !== program.parameters && !sameSpecs(set.specs, program.parameters))
      throw new RangeError(`${program.key}: ${set.specs.length} parameters do not match the model's ${expected}`);
  if (program.differentiate !== (gradient !== undefined))
    throw new RangeError(`${program.key}: ${gradient ? 'has no' : 'needs a place for its'} gradient`);
  for (const [name, { shape, dtype }] of Object.entries(program.inputs)) {
    const value = inputs[name];
    const size = shape.reduce((product, n) => product * n, 1);
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
