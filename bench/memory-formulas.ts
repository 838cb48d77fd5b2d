/** Peak memory of each job by its configuration, as docs/performance.md states it; bytes, but for `BASE`. */

import { scratchShape } from '../containers/fit-influence/encoder.ts';
import { modelShape } from '../containers/model.ts';
import type { RunConfig } from '../core/config/schema.ts';
import type { CorpusIndex } from '../core/formats.ts';
import { bertSpecs } from '../engine/bert.ts';
import { gptNeoxSpecs } from '../engine/gpt-neox.ts';
import { type ParameterSpec, sizeOf } from '../engine/parameters.ts';

/** Node with the code and ONNX Runtime. */
const BASE = 190e6;
/** A lengths' graph of a set of passages, at most so many and one for a last short batch. */
const PASSAGE_GRAPHS = 9;
/** Rows in memory at once where losses are measured. */
const PASSAGES = 8;
const ROWS = 16;

export type JobName = 'prepare' | 'probe' | 'fit-influence' | 'score' | 'pretrain' | 'evaluate';

/** @param longest tokens of the longest reference or held-out passage. */
export function peakMemory(config: RunConfig, corpus: CorpusIndex, longest: number): Record<JobName, number> {
  const S = corpus.sequenceLength;
  const shape = modelShape(config, corpus);
  const { layers: L, width: d, heads: h, vocabularySize: V } = shape;
  const P = 4 * count(gptNeoxSpecs(shape));
  const training = (rows: number, tokens: number) => 4 * rows * tokens * (2.5 * V + L * (36 * d + 3.5 * h * tokens));
  const forward = (rows: number, tokens: number) => 4 * rows * tokens * (V + 45 * d + 4 * h * tokens);
  const graphs = (passages: number) => Math.min(PASSAGE_GRAPHS, Math.ceil(passages / PASSAGES));
  const references = graphs(config.reference.passages) * forward(PASSAGES, longest);
  const heldOut = graphs(config.heldOut.passages) * forward(PASSAGES, longest);
  const { batchRows, microBatchRows } = config.pretrain;
  const trainer = (batchRows > microBatchRows ? 5 : 4) * P + training(microBatchRows, S);

  const influence = config.influenceModel;
  const { chunks, chunkTokens: T, batchDocuments } = influence;
  const Q = 4 * count(bertSpecs(scratchShape(influence, corpus.tokenizer.vocabularySize)));
  const encoder = (texts: number, share: number) =>
    4 * texts * chunks * T * share * (36 * influence.width + 3.5 * influence.heads * T);
  const scored = Math.ceil(corpus.rows / config.scoring.jobs);
  return {
    prepare: BASE + 64e6 + 3 * 24e6 + 4 * 24e6 + (100 * corpus.documents) / corpus.shards.length,
    pretrain: BASE + trainer,
    probe: BASE + 5 * P + training(1, S) + references,
    evaluate: BASE + trainer + references + heldOut + forward(ROWS, S),
    'fit-influence': BASE + 7 * Q + encoder(batchDocuments, influence.layers) + encoder(batchDocuments, 1),
    score: BASE + Q + encoder(config.scoring.batchDocuments, 1.3) + 22 * scored,
  };
}

function count(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
