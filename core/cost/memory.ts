/** Memory of training, in bytes, by the formulas of docs/performance.md; `bench/memory-formulas.ts` has the other jobs'. */
import { rowTokens } from '../config/corpus-schema.ts';
import type { RunConfig } from '../config/schema.ts';
import type { CorpusIndex } from '../formats.ts';
import { shapeOf } from './estimate.ts';
import { decoderParameters } from './flops.ts';

/** Node with the code, ONNX Runtime and what the garbage collector leaves. */
export const BASE_BYTES = 220e6;

/** What a graph's working memory depends on. */
export interface GraphShape {
  /** @default 'gpt-neox' */
  architecture?: 'gpt-neox' | 'llama';
  layers: number;
  width: number;
  /** @default 4 * width */
  mlpWidth?: number | undefined;
  heads: number;
  /** @default width / heads */
  headWidth?: number | undefined;
  vocabularySize: number;
}

/** Working memory of the graph of a loss and its gradient; everything that the backward pass needs is kept. */
export function trainingBytes(
  { architecture, layers, width, mlpWidth = 4 * width, heads, headWidth = width / heads, vocabularySize }: GraphShape,
  rows: number,
  tokens: number,
): number {
  const mlp = (architecture === 'llama' ? 6 : 3) * mlpWidth; // a gated one has two hidden tensors, and their product
  return (
    4 *
    rows *
    tokens *
    (1.6 * vocabularySize + layers * (8 * width + 4 * heads * headWidth + mlp + 2.3 * heads * tokens))
  );
}

/** A data-parallel worker's own code and session, measured with four: a thread of the trainer's process. */
const WORKER_BYTES = 90e6;

/** The least memory that pretraining and evaluation need on the host, and on the GPU if one computes. */
export function trainerMemory(config: RunConfig, onGpu: boolean, corpus?: CorpusIndex): { host: number; gpu: number } {
  const { batchRows, microBatchRows, stepsPerStage } = config.pretrain;
  const shape = shapeOf(config, corpus);
  const weights = 4 * decoderParameters(shape);
  const graph = trainingBytes(shape, microBatchRows, rowTokens(config.corpus, corpus));
  const workers = Math.min(Math.max(1, config.engine.workers), batchRows / microBatchRows);
  // Weights, both moments and the gradient, with accumulation the sum of gradients too; each of several workers has
  // weights, a gradient and the sum of its own. And the rows of the stage.
  const copies = workers > 1 ? 4 + 3 * workers : batchRows > microBatchRows ? 5 : 4;
  const threads = workers > 1 ? workers * WORKER_BYTES : 0;
  const host = BASE_BYTES + threads + copies * weights + 28 * stepsPerStage * batchRows;
  return onGpu ? { host, gpu: graph + 2 * weights } : { host: host + workers * graph, gpu: 0 };
}
