/**
 * Training steps shared by several workers on one machine. Each worker computes the gradient of its part of the
 * micro-batches, on a GPU of its own where there are GPUs. The gradients are then summed in shared memory, each worker
 * summing its part of the parameters over all gradients, and each worker makes AdamW's step on that part, divided as in
 * ZeRO stage 1 (Rajbhandari et al. 2020).
 */
import { once } from 'node:events';
import { onGpu } from '../../core/config/runtimes.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { type WorkerKind, WorkerPool } from '../../core/threads/worker-pool.ts';
import { type AdamW, clipCoefficient, globalNorm } from '../adamw.ts';
import type { DecoderShape } from '../decoder/decoder.ts';
import type { StepResult } from '../optimizer-steps.ts';
import type { ParameterSet } from '../parameters.ts';
import { checkFinite, type TrainingSteps } from '../trainer.ts';
import type { Request, SharedState, WorkerSetup } from './messages.ts';
import { rounds } from './plan.ts';

/** A {@link Request} is answered with a loss, or with a number that has no meaning. */
type TrainingPool = WorkerPool<Request, number>;

export const TRAINING_WORKER: WorkerKind = {
  source: new URL('./worker.ts', import.meta.url).href,
  bundled: 'training-worker',
  called: 'training worker',
  remedy: 'Lower engine.workers if memory ran out; the same command resumes.',
};

export interface DataParallelOptions {
  shape: DecoderShape;
  /** At least 1; each has a thread and, with `onnx-cuda`, the GPU of its number. */
  workers: number;
  runtime: WorkerSetup['runtime'];
  config: RunConfig['pretrain'];
  /** Brought up to date by {@link DataParallelTrainer.collect}. */
  parameters: ParameterSet;
  optimizer: AdamW;
}

export class DataParallelTrainer implements TrainingSteps {
  private readonly pool: TrainingPool;
  private readonly state: SharedState;
  private readonly options: DataParallelOptions;
  /** The latest step's gradient; a step that was given up may still be at it. */
  private underWay: Promise<StepResult | undefined> | undefined;

  /** @throws ConfigError when a worker's engine cannot be opened. */
  static async open(options: DataParallelOptions): Promise<DataParallelTrainer> {
    const { shape, workers, runtime, parameters, optimizer } = options;
    const size = parameters.flat.length;
    const state: SharedState = {
      parameters: shared(parameters.flat),
      m: shared(optimizer.m),
      v: shared(optimizer.v),
      sum: shared(size),
      gradients: Array.from({ length: workers }, () => shared(size)),
    };
    const setups = Array.from({ length: workers }, (_, worker): WorkerSetup => {
      const engine = { name: runtime.name, options: { ...runtime.options, device: worker } };
      return { worker, workers, shape, runtime: engine, optimizer: optimizer.options, state };
    });
    return new DataParallelTrainer(options, state, await WorkerPool.start(TRAINING_WORKER, setups));
  }

  private constructor(options: DataParallelOptions, state: SharedState, pool: TrainingPool) {
    this.options = options;
    this.state = state;
    this.pool = pool;
  }

  async step(tokens: Int32Array, length: number, learningRate: number): Promise<StepResult>;
  async step(tokens: Int32Array, length: number, rate: number, signal?: AbortSignal): Promise<StepResult | undefined>;
  async step(
    tokens: Int32Array,
    length: number,
    learningRate: number,
    signal?: AbortSignal,
  ): Promise<StepResult | undefined> {
    const { config, optimizer } = this.options;
    this.underWay = this.lossAndGradient(tokens, length, signal);
    const result = await unlessAborted(this.underWay, signal);
    if (!result) return undefined;
    const { loss, gradientNorm } = result;
    checkFinite(optimizer.step + 1, loss, gradientNorm);
    optimizer.step += 1;
    const clip = clipCoefficient(gradientNorm, config.clipNorm);
    await this.pool.askAll({ kind: 'update', step: optimizer.step, learningRate, clip });
    return { loss, gradientNorm };
  }

  collect(): void {
    const { parameters, optimizer } = this.options;
    parameters.flat.set(this.state.parameters);
    optimizer.m.set(this.state.m);
    optimizer.v.set(this.state.v);
  }

  async close(): Promise<void> {
    // A thread that is ended while a native library computes in it takes the whole process with it.
    await this.underWay?.catch(() => undefined);
    await this.pool.close();
  }

  /** Leaves the step's gradient in the shared sum; undefined if the signal is aborted before it has all of it. */
  private async lossAndGradient(
    tokens: Int32Array,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<StepResult | undefined> {
    const { pool, state } = this;
    const { config, runtime } = this.options;
    const { batchRows, microBatchRows } = config;
    const weight = 1 / (batchRows * (length - 1));
    const plan = rounds(batchRows / microBatchRows, pool.size, onGpu(runtime.name));
    let loss = 0;
    let row = 0;
    for (const [round, parts] of plan.entries()) {
      if (signal?.aborted) return undefined;
      const losses = await Promise.all(
        parts.map((microBatches, worker) => {
          const end = row + microBatches * microBatchRows;
          const part = tokens.slice(row * length, end * length);
          row = end;
          return pool.ask(worker, { kind: 'gradient', tokens: part, length, microBatches, weight });
        }),
      );
      for (const part of losses) loss += part;
      await pool.askAll({ kind: 'reduce', gradients: parts.length, first: round === 0 });
    }
    return { loss, gradientNorm: globalNorm(state.sum) };
  }
}

/** What the work gives, or undefined as soon as the signal is aborted; the work then goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (!signal) return work;
  const heard = new AbortController();
  const aborted = once(signal, 'abort', { signal: heard.signal }).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([work, aborted]);
  } finally {
    heard.abort();
  }
}

/** A copy in shared memory, or zeros. */
function shared(source: Float32Array | number): Float32Array<SharedArrayBuffer> {
  const length = typeof source === 'number' ? source : source.length;
  const array = new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
  if (typeof source !== 'number') array.set(source);
  return array;
}
