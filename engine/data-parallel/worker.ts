/** Entry point of a data-parallel training thread, started by `data-parallel-trainer.ts` with a {@link WorkerSetup}. */
import { workerData } from 'node:worker_threads';
import { serve } from '../../core/threads/worker-pool.ts';
import { AdamW, accumulate } from '../adamw.ts';
import { LanguageModel } from '../decoder/language-model.ts';
import { ParameterSet } from '../parameters.ts';
import { createRuntime } from '../runtime/runtime.ts';
import type { Request, WorkerSetup } from './messages.ts';
import { share } from './plan.ts';

const { worker, workers, shape, runtime, optimizer, state }: WorkerSetup = workerData;
const part = share(state.parameters.length, workers, worker);
const partOf = (array: Float32Array) => array.subarray(part.begin, part.begin + part.size);

/** The engines read and write the thread's own memory: Node's interface to native modules refuses shared memory. */
let model: LanguageModel;
let parameters: ParameterSet;
let gradient: ParameterSet;
/** Whether `parameters` are those of an earlier step. */
let stale = true;

async function start(): Promise<number> {
  model = new LanguageModel(await createRuntime(runtime.name, runtime.options), shape);
  parameters = new ParameterSet(model.specs);
  gradient = new ParameterSet(model.specs);
  return 0;
}

async function answer(request: Request): Promise<number> {
  switch (request.kind) {
    case 'gradient': {
      const { tokens, length, microBatches, weight } = request;
      if (stale) parameters.flat.set(state.parameters);
      stale = false;
      const rows = tokens.length / length;
      const weights = new Float32Array(rows * (length - 1)).fill(weight);
      const batch = { batch: rows, length, tokens, weights, microBatches };
      const loss = await model.lossAndGradient(parameters, batch, gradient);
      state.gradients[worker]!.set(gradient.flat);
      return loss;
    }
    case 'reduce': {
      const sum = partOf(state.sum);
      const parts = state.gradients.slice(0, request.gradients).map(partOf);
      if (request.first) sum.set(parts.shift()!);
      for (const part of parts) accumulate(sum, part);
      return 0;
    }
    case 'update': {
      const { step, learningRate, clip } = request;
      const moments = { m: partOf(state.m), v: partOf(state.v), step: step - 1 };
      new AdamW(part.size, optimizer, moments).apply(partOf(state.parameters), partOf(state.sum), learningRate, clip);
      stale = true;
      return 0;
    }
  }
}

serve(start, answer);
