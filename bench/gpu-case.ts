/** Measures one model on one GPU in one precision; `bench/gpu.ts` starts a process for each. */
import { spawnSync } from 'node:child_process';
import { ExactProbe } from '../containers/probe/exact-probe.ts';
import { parseConfig } from '../core/config/load.ts';
import { decoderForwardFlops } from '../core/cost/flops.ts';
import { CounterRandom } from '../core/random/philox.ts';
import { AdamW } from '../engine/adamw.ts';
import { LanguageModel } from '../engine/decoder/language-model.ts';
import { PassageSet } from '../engine/decoder/passage-set.ts';
import { ParameterSet, type ParameterSpec } from '../engine/parameters.ts';
import { createRuntime, type Precision, type Runtime, type RuntimeName } from '../engine/runtime/runtime.ts';
import { Trainer } from '../engine/trainer.ts';
import { PROBE_SETTINGS, passagesLikeLambada } from './probe.ts';
import type { Spread } from './report.ts';
import { type DecoderCase, zipfTokens } from './shapes.ts';

/** Reference passages of a probe. */
const PASSAGES = 64;

export type Task =
  /** Optimizer steps of `microBatches` micro-batches, each of the case's batch size. */
  | { kind: 'train'; microBatches: number }
  | { kind: 'forward' }
  /** Exact probes against 64 passages. */
  | { kind: 'probe' }
  /** Loss and gradient against those of the CPU engine in float32. */
  | { kind: 'parity' };

export interface Job {
  case: DecoderCase;
  precision: Precision;
  tasks: Task[];
  /** The least duration of a measurement, after a warm-up. */
  seconds: number;
  runtime: RuntimeName;
}

export interface Speed {
  unit: 'tokens' | 'probes';
  perSecond: Spread;
  /** Median duration of one step, pass or probe. */
  seconds: number;
  /**
   * For a step: the run on the device, including the copies of parameters and gradient. The rest is AdamW, on the host.
   */
  runSeconds?: number;
  /** Operations of matrix products per second, as core/cost/flops.ts counts them, in 10^12. */
  teraflops?: number;
}

export interface Parity {
  loss: number;
  /** Relative to the CPU engine's loss. */
  lossError: number;
  /** Norm of the gradients' difference over that of the CPU engine's gradient, and the cosine between them. */
  gradientError: number;
  gradientCosine: number;
  /** The same relative error for two micro-batches against one, both on the device. */
  accumulationError: number;
  /** Whether a second run gave the same bits. */
  repeatable: boolean;
}

export interface Result {
  case: string;
  precision: Precision;
  task: Task['kind'];
  microBatches?: number;
  /** Memory in use on the whole device, including all that the allocator has reserved. */
  deviceMegabytes?: number;
  speed?: Speed;
  parity?: Parity;
  /** Why there is neither speed nor parity, such as too little memory. */
  error?: string;
}

/** Measures the job's tasks, one after the other; if a task fails, this is reported, and the next one begins. */
export async function measureJob(job: Job, report: (result: Result) => void): Promise<void> {
  const runtime = await createRuntime(job.runtime, { precision: job.precision });
  for (const task of job.tasks) {
    const microBatches = task.kind === 'train' ? { microBatches: task.microBatches } : {};
    const result: Result = { case: job.case.name, precision: job.precision, task: task.kind, ...microBatches };
    try {
      if (task.kind === 'parity') result.parity = await parity(job, runtime);
      else result.speed = await speed(job, runtime, task);
      const used = memoryUsed();
      if (used !== undefined) result.deviceMegabytes = used;
    } catch (error) {
      result.error = (error as Error).message;
    }
    report(result);
    await runtime.dispose();
  }
}

async function speed(job: Job, runtime: Runtime, task: Exclude<Task, { kind: 'parity' }>): Promise<Speed> {
  const { shape, batch, length, name } = job.case;
  const model = new LanguageModel(runtime, shape);
  const parameters = randomParameters(model.specs);
  const flops = decoderForwardFlops(shape, length); // of a token

  if (task.kind === 'forward') {
    const rows = { batch, length: length + 1, tokens: zipfTokens(batch * (length + 1), shape.vocabularySize) };
    const seconds = await repeat(() => model.tokenLosses(parameters, rows), job.seconds);
    return rates('tokens', batch * length, seconds, flops);
  }

  const optimizer = AdamW.beside(parameters.flat, PROBE_SETTINGS.optimizer);
  const rows = task.kind === 'train' ? batch * task.microBatches : batch;
  const config = trainingConfig(rows, batch);
  if (task.kind === 'probe') {
    optimizer.v.fill(PROBE_SETTINGS.v);
    optimizer.step = PROBE_SETTINGS.step;
    const checkpoint = { shape, parameters, optimizer, contextLength: length, state: { step: 0, tokens: 0 } };
    const passages = passagesLikeLambada(shape.vocabularySize, PASSAGES).map((passage) => ({
      ...passage,
      firstTarget: 1,
    }));
    const probe = await ExactProbe.create(model, checkpoint, new PassageSet(model, passages), config);
    const document = zipfTokens(length + 1, shape.vocabularySize);
    const seconds = await repeat(() => probe.influence(document), job.seconds);
    return rates('probes', 1, seconds);
  }

  const tokens = zipfTokens(rows * (length + 1), shape.vocabularySize);
  const trainer = new Trainer(model, config, parameters, optimizer);
  const steps = await repeat(() => trainer.step(tokens, length + 1, 1e-4), job.seconds);
  if (!runtime.onGpu) return rates('tokens', rows * length, steps, 3 * flops);
  // The run alone, as the trainer makes it.
  const gradient = parameters.sibling();
  const whole = { batch: rows, length: length + 1, tokens, microBatches: task.microBatches };
  const runs = await repeat(() => model.lossAndGradient(parameters, whole, gradient), job.seconds / 2, 1);
  if (gradient.flat.some((value) => !Number.isFinite(value))) throw new Error(`${name}: the gradient is not finite`);
  return { ...rates('tokens', rows * length, steps, 3 * flops), runSeconds: median(runs) };
}

async function parity({ case: { shape, batch, length } }: Job, runtime: Runtime): Promise<Parity> {
  const cpu = await createRuntime('onnx');
  const [model, reference] = [new LanguageModel(runtime, shape), new LanguageModel(cpu, shape)];
  const parameters = randomParameters(model.specs);
  const rows = { batch, length: length + 1, tokens: zipfTokens(batch * (length + 1), shape.vocabularySize) };
  const run = async (by: LanguageModel, microBatches = 1) => {
    const gradient = new ParameterSet(model.specs);
    const loss = await by.lossAndGradient(parameters, { ...rows, microBatches }, gradient);
    return { loss, gradient: gradient.flat };
  };
  const expected = await run(reference);
  await cpu.dispose();
  const found = await run(model);
  const again = await run(model);
  const halves = await run(model, 2);
  return {
    loss: found.loss,
    lossError: Math.abs(found.loss / expected.loss - 1),
    ...compareGradients(found.gradient, expected.gradient),
    accumulationError: compareGradients(halves.gradient, found.gradient).gradientError,
    repeatable: found.loss === again.loss && found.gradient.every((value, i) => value === again.gradient[i]),
  };
}

export function compareGradients(found: Float32Array, expected: Float32Array) {
  let [difference, ours, theirs, product] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i]!, expected[i]!];
    difference += (a - b) ** 2;
    ours += a * a;
    theirs += b * b;
    product += a * b;
  }
  return { gradientError: Math.sqrt(difference / theirs), gradientCosine: product / Math.sqrt(ours * theirs) };
}

/**
 * Times calls, until there are at least three that add up to `seconds`. The first calls, which compile, do not count.
 */
async function repeat(call: () => Promise<unknown>, seconds: number, warmUp = 2): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await call();
  const found: number[] = [];
  for (let total = 0; total < seconds || found.length < 3; total += found.at(-1)!) {
    const began = performance.now();
    await call();
    found.push((performance.now() - began) / 1000);
  }
  return found;
}

function rates(unit: Speed['unit'], units: number, seconds: readonly number[], flops?: number): Speed {
  const middle = median(seconds);
  return {
    unit,
    perSecond: { min: units / Math.max(...seconds), median: units / middle, max: units / Math.min(...seconds) },
    seconds: middle,
    ...(flops && { teraflops: (units * flops) / middle / 1e12 }),
  };
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

function trainingConfig(batchRows: number, microBatchRows: number) {
  const sources = { corpus: { input: ['-'] }, reference: { input: '-' }, heldOut: { input: '-' } };
  const pretrain = { batchRows, microBatchRows, learningRate: PROBE_SETTINGS.learningRate, warmupSteps: 0 };
  return parseConfig({ ...sources, pretrain }, 'the benchmark').pretrain;
}

/**
 * Initial values of a model, from a repeated block of a million normal values: drawing 400 million takes half a minute.
 */
function randomParameters(specs: readonly ParameterSpec[]): ParameterSet {
  const random = new CounterRandom(1, 102);
  const parameters = new ParameterSet(specs);
  const block = Float32Array.from({ length: Math.min(1 << 20, parameters.flat.length) }, (_, i) => random.normal(i));
  for (const { name, init } of specs) {
    const values = parameters.view(name);
    if (typeof init === 'string') values.fill(init === 'ones' ? 1 : 0);
    else
      for (let i = 0; i < values.length; i++) values[i] = init.std * block[(i + values.byteOffset / 4) % block.length]!;
  }
  return parameters;
}

/** Megabytes in use on the first GPU; undefined without nvidia-smi. */
function memoryUsed(): number | undefined {
  const [used] = nvidiaSmi('memory.used');
  return used === undefined ? undefined : Number(used);
}

/** Values that nvidia-smi reports for the first GPU; empty without nvidia-smi. */
export function nvidiaSmi(...fields: string[]): string[] {
  const query = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits', '--id=0'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split(', ') : [];
}
