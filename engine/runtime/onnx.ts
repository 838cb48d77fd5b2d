/** Programs traced into ONNX graphs and run by ONNX Runtime on the CPU: the default engine. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import ort from 'onnxruntime-node';
import type { ParameterSet } from '../parameters.ts';
import { graphName, trace } from '../trace/backend.ts';
import { onnxModel } from '../trace/onnx.ts';
import { type Compiler, checkInputs, type Executable, type Inputs, type Program } from './program.ts';

export class OnnxCompiler implements Compiler {
  private readonly threads: number;

  constructor(threads: number) {
    this.threads = threads;
  }

  async compile(program: Program): Promise<Executable> {
    const graph = trace(program);
    const session = await ort.InferenceSession.create(onnxModel(graph), {
      intraOpNumThreads: this.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // The plan keeps a second copy of the activations beside what the first run allocated: half as much memory again,
      // and no faster.
      enableMemPattern: false,
      // Idle threads sleep instead of spinning: jobs share the machine's cores with other jobs, and a spinning thread
      // then takes the core that its own work waits for (measured: twice the time on a busy two-core machine).
      extra: {
        session: { intra_op: { allow_spinning: '0' } },
        // A transposed copy is there because the product reads it faster.
        optimization: { disable_specified_optimizers: 'GemmTransposeFusion' },
      },
      // Warnings concern the optimizer's choices, nothing a user can act on.
      logSeverityLevel: 3,
    });
    return new OnnxExecutable(program, session, new Set(graph.liveInputs().map(({ name }) => name)));
  }
}

/** The tensors over each parameter set's memory, made once: they share it, so that they always show its values. */
const parameterTensors = new WeakMap<Float32Array, Map<string, Tensor>>();

function tensorsOf(set: ParameterSet): Map<string, Tensor> {
  let tensors = parameterTensors.get(set.flat);
  if (!tensors) {
    tensors = new Map(set.specs.map(({ name, shape }) => [name, new ort.Tensor('float32', set.view(name), shape)]));
    parameterTensors.set(set.flat, tensors);
  }
  return tensors;
}

class OnnxExecutable implements Executable {
  private readonly program: Program;
  private readonly session: InferenceSession;
  private readonly live: ReadonlySet<string>;

  constructor(program: Program, session: InferenceSession, live: ReadonlySet<string>) {
    this.program = program;
    this.session = session;
    this.live = live;
  }

  async run(parameters: ParameterSet, inputs: Inputs, gradient?: ParameterSet): Promise<Float32Array> {
    const { program } = this;
    checkInputs(program, parameters, inputs, gradient);
    const feeds: Record<string, Tensor> = {};
    const feed = (name: string, tensor: Tensor) => {
      if (this.live.has(name)) feeds[name] = tensor;
    };
    for (const [name, tensor] of tensorsOf(parameters)) feed(graphName.parameter(name), tensor);
    for (const [name, { shape, dtype }] of Object.entries(program.inputs)) {
      const value = inputs[name]!;
      const tensor =
        dtype === 'int32'
          ? new ort.Tensor('int64', BigInt64Array.from(value as Int32Array, BigInt), shape)
          : new ort.Tensor('float32', value as Float32Array, shape);
      feed(graphName.input(name), tensor);
    }
    if (!gradient) return (await this.session.run(feeds)).output!.data as Float32Array;

    // Each gradient is written by its node into the caller's memory: no copy.
    const fetches: Record<string, Tensor | null> = { [graphName.output]: null };
    for (const [name, tensor] of tensorsOf(gradient)) fetches[graphName.gradient(name)] = tensor;
    return (await this.session.run(feeds, fetches)).output!.data as Float32Array;
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}
