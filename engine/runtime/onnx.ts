/** Programs traced into ONNX graphs and run by ONNX Runtime: on the CPU, the default engine, or on a GPU. */
import { availableParallelism } from 'node:os';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import ort from 'onnxruntime-node';
import type { Precision } from '../../core/config/runtimes.ts';
import type { ParameterSet } from '../parameters.ts';
import { accumulated, stackName } from '../trace/accumulate.ts';
import { graphName, trace } from '../trace/backend.ts';
import { type Computation, Graph } from '../trace/graph.ts';
import { int8Products } from '../trace/int8.ts';
import { mixedPrecision } from '../trace/mixed-precision.ts';
import { onnxModel } from '../trace/onnx.ts';
import { gpuOptions, openOnGpu } from './cuda.ts';
import { type Compiler, checkInputs, type Executable, type Inputs, type Program } from './program.ts';
import { threadLimit } from './thread-limit.ts';

// From 1.29 on, ONNX Runtime's builds send usage data unless this is set before the first session is opened.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

export interface OnnxOptions {
  /** Threads of one computation on the CPU; 0 is one for each core. */
  threads: number;
  precision: Precision;
  /** Number of the GPU, from 0. @default - the CPU */
  device?: number;
}

export class OnnxCompiler implements Compiler {
  private readonly options: OnnxOptions;

  constructor(options: OnnxOptions) {
    this.options = options;
  }

  /** @throws ConfigError when there is no such GPU, or its driver or libraries are missing. */
  static async forGpu(options: OnnxOptions & { device: number }): Promise<OnnxCompiler> {
    const compiler = new OnnxCompiler(options);
    // Only opening a session shows whether there is a GPU.
    const graph = new Graph();
    graph.output('y', graph.op('Neg', [graph.input('x', [1], 'float32')], [1]));
    await (await compiler.open(graph)).release();
    return compiler;
  }

  async compile(program: Program): Promise<Executable> {
    const { precision, device } = this.options;
    // A loop adds up whole gradients, so it cannot give those of embeddings as rows.
    let graph = trace(program, device !== undefined || program.microBatches ? 'whole' : 'cut').live();
    // Losses that are only read, in probes and evaluations, enter differences of close numbers: they stay in
    // float32.
    if (precision === 'mixed' && program.differentiate)
      graph = mixedPrecision(graph, device === undefined ? 'emulated' : 'native');
    const parameters = new Set(program.parameters.map(({ name }) => graphName.parameter(name)));
    if (program.int8) graph = int8Products(graph, program.int8);
    if (program.microBatches) graph = accumulated(graph, program.microBatches, ({ name }) => parameters.has(name));
    return new OnnxExecutable(program, await this.open(graph), {
      inputs: new Set(graph.inputs.map(({ name }) => name)),
      outputs: new Set(graph.outputs.map(({ name }) => name)),
    });
  }

  private open(graph: Computation): Promise<InferenceSession> {
    const { threads, device } = this.options;
    const model = onnxModel(graph);
    const options: InferenceSession.SessionOptions = {
      intraOpNumThreads: Math.min(threads || availableParallelism(), threadLimit(graph)),
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // A memory pattern would keep a second copy of the activations beside the first run's memory: half as much memory
      // again, and no faster.
      enableMemPattern: false,
      // Idle threads sleep instead of spinning: jobs share the machine's cores with other jobs, and a spinning thread
      // then takes the core that its own work waits for (measured: twice the time on a busy two-core machine).
      extra: {
        session: { intra_op: { allow_spinning: '0' } },
        // Keeps the graph's transposed copies, which the products read faster.
        optimization: { disable_specified_optimizers: 'GemmTransposeFusion' },
      },
      // Warnings concern the optimizer's choices, nothing a user can act on.
      logSeverityLevel: 3,
    };
    if (device === undefined) return ort.InferenceSession.create(model, options);
    return openOnGpu(() => ort.InferenceSession.create(model, { ...options, ...gpuOptions(device) }));
  }
}

/** The tensors over each parameter set's memory, made once: they share the memory, so they always show its values. */
const parameterTensors = new WeakMap<Float32Array, Map<string, Tensor>>();

function tensorsOf(set: ParameterSet): Map<string, Tensor> {
  let tensors = parameterTensors.get(set.flat);
  if (!tensors) {
    tensors = new Map(set.specs.map(({ name, shape }) => [name, new ort.Tensor('float32', set.view(name), shape)]));
    parameterTensors.set(set.flat, tensors);
  }
  return tensors;
}

/** Adds the rows to the table at their ids, in the order of the rows. */
function addRows(table: Float32Array, ids: BigInt64Array, rows: Float32Array): void {
  const width = rows.length / ids.length;
  for (let i = 0; i < ids.length; i++) {
    const at = Number(ids[i]!) * width;
    for (let j = 0; j < width; j++) table[at + j] = table[at + j]! + rows[i * width + j]!;
  }
}

interface Names {
  inputs: ReadonlySet<string>;
  outputs: ReadonlySet<string>;
}

class OnnxExecutable implements Executable {
  private readonly program: Program;
  private readonly session: InferenceSession;
  private readonly names: Names;

  constructor(program: Program, session: InferenceSession, names: Names) {
    this.program = program;
    this.session = session;
    this.names = names;
  }

  async run(parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): Promise<Float32Array> {
    const { program } = this;
    checkInputs(program, parameters, inputs, gradient);
    const feeds: Record<string, Tensor> = {};
    const feed = (name: string, tensor: Tensor) => {
      if (this.names.inputs.has(name)) feeds[name] = tensor;
    };
    for (const [name, tensor] of tensorsOf(parameters)) feed(graphName.parameter(name), tensor);
    const { microBatches } = program;
    for (const [name, { shape: one, dtype }] of Object.entries(program.inputs)) {
      const value = inputs[name]!;
      const shape = microBatches ? [microBatches, ...one] : one;
      const tensor =
        dtype === 'int32'
          ? new ort.Tensor('int64', BigInt64Array.from(value as Int32Array, BigInt), shape)
          : new ort.Tensor('float32', value as Float32Array, shape);
      feed(microBatches ? stackName(graphName.input(name)) : graphName.input(name), tensor);
    }
    if (!gradient) return (await this.session.run(feeds)).output!.data as Float32Array;

    const fetches: Record<string, Tensor | null> = { [graphName.output]: null };
    const scattered: string[] = [];
    for (const [name, tensor] of tensorsOf(gradient)) {
      if (this.names.outputs.has(graphName.gradient(name)))
        fetches[graphName.gradient(name)] = tensor; // its node writes into the caller's memory: no copy
      else gradient.view(name).fill(0);
      if (!this.names.outputs.has(graphName.gradientIds(name))) continue;
      scattered.push(name);
      fetches[graphName.gradientIds(name)] = null;
      fetches[graphName.gradientRows(name)] = null;
    }
    const results = await this.session.run(feeds, fetches);
    for (const name of scattered) {
      const [ids, rows] = [results[graphName.gradientIds(name)]!, results[graphName.gradientRows(name)]!];
      addRows(gradient.view(name), ids.data as BigInt64Array, rows.data as Float32Array);
    }
    return results.output!.data as Float32Array;
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}
