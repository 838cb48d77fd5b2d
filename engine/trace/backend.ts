/**
 * A tfjs backend that computes nothing: it records the kernels that are called, including those of automatic
 * differentiation, as a graph. In this way anything written in tfjs ops becomes an ONNX model, together with its
 * gradients.
 */
import * as tf from '@tensorflow/tfjs-core';
import { gradientProgram, type Program } from '../runtime/program.ts';
import { type ElementType, Graph, type Value } from './graph.ts';
import { ELEMENT_TYPE, RULES } from './kernels.ts';

/**
 * What a graph is made for. `cut` is for a CPU, whose caches and threads work best on many products of some hundred
 * rows; attention scores above the diagonal are not computed. `whole` is for a GPU, which works best on few large
 * operators, and for the body of a loop, which needs every gradient in one piece.
 */
export type TraceStyle = 'cut' | 'whole';

const backendName = (style: TraceStyle) => `trace-${style}`;

/** Kernels whose presence in a backend makes `ops.ts` cut its work. */
const CUT_KERNELS: ReadonlySet<string> = new Set(['HeadMatMul', 'ScatterRows']);

/** The program's names in the graph; parameters and inputs may share a name, so each has a prefix. */
export const graphName = {
  parameter: (name: string) => `parameter:${name}`,
  input: (name: string) => `input:${name}`,
  gradient: (name: string) => `gradient:${name}`,
  /** For a gradient that has more in some rows, or is zero except in them: their ids and values. */
  gradientIds: (name: string) => `gradient-ids:${name}`,
  gradientRows: (name: string) => `gradient-rows:${name}`,
  output: 'output',
};

/**
 * Records the program as a graph. Its inputs are the parameters and the program's inputs; its outputs are the program's
 * output and, for a program that differentiates, each parameter's gradient (an embedding's as ids and rows to add up, and
 * beside them what it is added to where the embedding is the head too).
 * @throws Error naming the kernel, when the program uses one that has no rule.
 */
export function trace(program: Program, style: TraceStyle = 'cut'): Graph {
  const backend = traceBackend(style);
  const before = tf.getBackend();
  // Takes effect at once: the promise is for backends that load something.
  void tf.setBackend(backendName(style));
  const graph = new Graph();
  backend.graph = graph;
  try {
    tf.tidy(() => {
      const parameters = Object.fromEntries(
        program.parameters.map(({ name, shape }) => [
          name,
          backend.tensor(graph.input(graphName.parameter(name), shape, 'float32')),
        ]),
      );
      const inputs = Object.fromEntries(
        Object.entries(program.inputs).map(([name, { shape, dtype }]) => [
          name,
          backend.tensor(graph.input(graphName.input(name), shape, ELEMENT_TYPE[dtype]!)),
        ]),
      );
      const { output, gradients } = gradientProgram(program, parameters, inputs);
      graph.output(graphName.output, backend.value(output));
      for (const [name, gradient] of Object.entries(gradients)) {
        const value = backend.value(gradient);
        const scattered = graph.scattered(value);
        if (scattered) {
          graph.output(graphName.gradientIds(name), scattered.ids);
          graph.output(graphName.gradientRows(name), scattered.rows);
        }
        const whole = scattered ? scattered.rest : value;
        if (whole) graph.output(graphName.gradient(name), whole);
      }
    });
  } catch (error) {
    const kernel = /[Kk]ernel '(\w+)'/.exec((error as Error).message)?.[1];
    if (kernel)
      throw new Error(`the tfjs kernel ${kernel} has no rule in engine/trace/kernels.ts, so it cannot be traced`);
    throw error;
  } finally {
    backend.graph = undefined;
    if (before) void tf.setBackend(before);
  }
  return graph;
}

const registered = new Map<TraceStyle, TraceBackend>();

function traceBackend(style: TraceStyle): TraceBackend {
  const known = registered.get(style);
  if (known) return known;
  const backend = new TraceBackend();
  tf.registerBackend(backendName(style), () => backend, 0);
  for (const [kernelName, rule] of Object.entries(RULES)) {
    if (style === 'whole' && CUT_KERNELS.has(kernelName)) continue;
    tf.registerKernel({
      kernelName,
      backendName: backendName(style),
      kernelFunc: ({ inputs, attrs }) => {
        const values = Object.entries(inputs)
          .filter(([, tensor]) => tensor !== undefined && tensor !== null)
          .map(([name, tensor]) => [name, backend.value(tensor!)]);
        const result = rule(backend.recording(), Object.fromEntries(values), attrs ?? {});
        return Array.isArray(result) ? result.map((value) => backend.info(value)) : backend.info(result);
      },
    });
  }
  registered.set(style, backend);
  return backend;
}

const DTYPE: Partial<Record<ElementType, tf.DataType>> = { float32: 'float32', int64: 'int32', bool: 'bool' };

class TraceBackend extends tf.KernelBackend {
  graph: Graph | undefined;
  private readonly values = new WeakMap<object, Value>();

  recording(): Graph {
    if (!this.graph) throw new Error('the trace backend only works inside trace()');
    return this.graph;
  }

  /** The graph's value that the tensor stands for. */
  value({ dataId }: tf.TensorInfo): Value {
    const value = this.values.get(dataId);
    if (!value) throw new Error('a tensor from outside the program was used while tracing it');
    return value;
  }

  info(value: Value): tf.TensorInfo {
    const dataId = {};
    this.values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: DTYPE[value.type]! };
  }

  tensor(value: Value): tf.Tensor {
    return tf.engine().makeTensorFromTensorInfo(this.info(value));
  }

  /** A tensor made from numbers while tracing is a constant of the graph. */
  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const numbers = values as ArrayLike<number>;
    const data =
      dtype === 'float32'
        ? Float32Array.from(numbers)
        : dtype === 'int32'
          ? BigInt64Array.from(Array.from(numbers), BigInt)
          : Uint8Array.from(numbers);
    const dataId = {};
    this.values.set(dataId, this.recording().constant(data, shape));
    return dataId;
  }

  override readSync(): never {
    throw new Error('a program may not read the data of a tensor while it is traced');
  }

  override read(): never {
    return this.readSync();
  }

  override numDataIds(): number {
    return 0;
  }
  override incRef(): void {}
  decRef(): void {}
  override refCount(): number {
    return 1;
  }
  override disposeData(): boolean {
    return true;
  }
  override dispose(): void {}
  override timerAvailable(): boolean {
    return false;
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
}
