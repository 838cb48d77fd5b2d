/**
 * `programs.js open`: opens ONNX Runtime on the GPU, and prints the error. `programs.js run COUNTERS`: runs every program of
 * both models on the stub of CUDA, and prints what each has counted. `programs.js unsupported`: opens a graph that CUDA has no
 * kernel for. One line of JSON.
 */
import ort from 'onnxruntime-node';
import { parseConfig } from '../../core/config/load.ts';
import { AdamW } from '../../engine/adamw.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { DataParallelTrainer } from '../../engine/data-parallel/data-parallel-trainer.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { initialParameters, ParameterSet } from '../../engine/parameters.ts';
import { gpuOptions, openOnGpu } from '../../engine/runtime/cuda.ts';
import { createRuntime, type Precision } from '../../engine/runtime/runtime.ts';
import { Graph } from '../../engine/trace/graph.ts';
import { onnxModel } from '../../engine/trace/onnx.ts';
import { documentBatch, randomTokens, TINY_BERT, TINY_GPT } from '../engine/support.ts';
import { type Counters, readCounters } from './counters.ts';

export type Report = Record<string, Counters & { parameterBytes: number }>;

const [mode, counters] = process.argv.slice(2) as [string, string];
const SHAPE = { ...TINY_GPT, width: 96, vocabularySize: 512 };
const [ROWS, LENGTH] = [8, 33];
const tokens = randomTokens(ROWS * LENGTH, SHAPE.vocabularySize);

async function open(): Promise<{ name: string; message: string } | null> {
  try {
    await createRuntime('onnx-cuda');
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
}

async function run(): Promise<Report> {
  const report: Report = {};
  for (const precision of ['float32', 'mixed'] as const) await programs(precision, report);
  await dataParallel(report);
  return report;
}

async function programs(precision: Precision, report: Report): Promise<void> {
  const runtime = await createRuntime('onnx-cuda', { precision });
  const counted = async (name: string, parameters: ParameterSet, work: () => Promise<unknown>) => {
    await work(); // the first run also sends constants
    const before = readCounters(counters);
    await work();
    const after = readCounters(counters);
    const difference = (what: 'toDevice' | 'toHost' | 'kernels' | 'products') => after[what] - before[what];
    report[`${name}, ${precision}`] = {
      ...after,
      toDevice: difference('toDevice'),
      toHost: difference('toHost'),
      kernels: difference('kernels'),
      products: difference('products'),
      parameterBytes: parameters.flat.byteLength,
    };
  };

  const model = new LanguageModel(runtime, SHAPE);
  const parameters = initialParameters(model.specs, 1);
  const gradient = new ParameterSet(model.specs);
  const batch = { batch: ROWS, length: LENGTH, tokens };
  for (const microBatches of [1, 4])
    await counted(`loss and gradient of ${microBatches}`, parameters, () =>
      model.lossAndGradient(parameters, { ...batch, microBatches }, gradient),
    );
  await counted('token losses', parameters, () => model.tokenLosses(parameters, batch));
  await counted('row features', parameters, () => model.rowFeatures(parameters, batch));
  await counted('hidden states', parameters, () => model.hiddenStates(parameters, batch));
  const hidden = new Float32Array(ROWS * SHAPE.width);
  await counted('target losses', parameters, () => model.targetLosses(parameters, hidden, tokens.subarray(0, ROWS)));
  await counted('target log-probabilities', parameters, () =>
    model.targetLogProbabilities(parameters, hidden, tokens.subarray(0, ROWS)),
  );

  const regressor = new InfluenceRegressor(runtime, TINY_BERT);
  const weights = initialParameters(regressor.specs, 1);
  const documents = documentBatch(6, TINY_BERT.vocabularySize);
  const labelled = { ...documents, labels: new Float32Array(3), weights: new Float32Array(3).fill(1) };
  const dropout = { rate: 0.1, random: () => 0.5 };
  await counted('influence model: loss and gradient', weights, () =>
    regressor.lossAndGradient(weights, labelled, dropout, new ParameterSet(regressor.specs)),
  );
  const { length, mask } = documents;
  const pieces = { pieces: mask.length / length, length, tokens: documents.tokens, mask };
  await counted('influence model: state sums', weights, () => regressor.stateSums(weights, pieces));
}

/** Two workers on two devices. */
async function dataParallel(report: Report): Promise<void> {
  const sources = { corpus: { input: ['-'] }, reference: { input: '-' }, heldOut: { input: '-' } };
  const pretrain = { batchRows: ROWS, microBatchRows: 2 };
  const config = parseConfig({ ...sources, pretrain }, 'test').pretrain;
  const parameters = initialParameters(new LanguageModel(await createRuntime('onnx'), SHAPE).specs, 1);
  const optimizer = new AdamW(parameters.flat.length, config);
  const runtime = { name: 'onnx-cuda', options: { precision: 'mixed' } } as const;
  const trainer = await DataParallelTrainer.open({ shape: SHAPE, workers: 2, runtime, config, parameters, optimizer });
  await trainer.step(tokens, LENGTH, 1e-3);
  await trainer.close();
  report['data-parallel'] = { ...readCounters(counters), parameterBytes: parameters.flat.byteLength };
}

/** A graph with an operator that has no kernel for CUDA. */
async function unsupported(): Promise<{ name: string; message: string } | null> {
  const graph = new Graph();
  graph.output('y', graph.op('Acosh', [graph.input('x', [1], 'float32')], [1]));
  const session = { ...gpuOptions(0), logSeverityLevel: 3 } as const;
  try {
    await openOnGpu(() => ort.InferenceSession.create(onnxModel(graph.live()), session));
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
}

const work = { open, run, unsupported }[mode];
if (!work) throw new Error(`usage: programs.js open | run COUNTERS | unsupported, not ${mode}`);
console.log(JSON.stringify(await work()));
process.exit(0);
