/** Peak memory of each job in bytes, computed from the configuration, as docs/performance.md states it. */
import { scratchShape } from '../containers/influence-model/encoder.ts';
import { modelShape } from '../containers/model.ts';
import type { RunConfig } from '../core/config/schema.ts';
import { BASE_BYTES as BASE, type GraphShape, trainingBytes as training } from '../core/cost/memory.ts';
import type { CorpusIndex } from '../core/formats.ts';
import type { TaskName } from '../core/tasks.ts';
import { bertSpecs } from '../engine/bert/bert.ts';
import { decoderSpecs } from '../engine/decoder/decoder.ts';
import { paddedLengths } from '../engine/padding.ts';
import { type ParameterSpec, sizeOf } from '../engine/parameters.ts';

/** Passages, and rows of the corpus, whose losses are measured at once. */
const [PASSAGES, ROWS] = [8, 16];
/** Lengths of a set of passages, and states that the head reads at once (`engine/decoder/passage-set.ts`). */
const [LENGTHS, HEAD_ROWS] = [8, 512];
/**
 * Tokens that go through the layers together, and graphs that are kept for an encoder
 * (`engine/bert/influence-scorer.ts`).
 */
const [GROUP_TOKENS, ENCODER_GRAPHS] = [512, 4];

/** Memory of a forward pass, which holds one layer at a time. */
function forward({ vocabularySize, ...shape }: GraphShape, rows: number, tokens: number): number {
  return 4 * rows * tokens * vocabularySize + states(shape, rows, tokens);
}

/** Memory of a forward pass without the head. */
function states({ width, heads }: Omit<GraphShape, 'vocabularySize'>, rows: number, tokens: number): number {
  const together = Math.min(rows * tokens, GROUP_TOKENS);
  return 4 * together * (45 * width + 4 * heads * tokens) + 4 * rows * tokens * 3 * width;
}

/** Memory of the head, which reads at most {@link HEAD_ROWS} states at once. */
function head({ vocabularySize }: GraphShape, targets: number): number {
  return 4 * Math.min(HEAD_ROWS, targets) * 2.5 * vocabularySize;
}

/** Tokens of each passage. */
export interface PassageLengths {
  reference: number[];
  heldOut: number[];
}

export function peakMemory(config: RunConfig, corpus: CorpusIndex, lengths: PassageLengths): Record<TaskName, number> {
  const S = corpus.sequenceLength;
  const model = modelShape(config, corpus);
  const weights = 4 * count(decoderSpecs(model));
  const { batchRows, microBatchRows } = config.pretrain;
  const trainer = (batchRows > microBatchRows ? 5 : 4) * weights + training(model, microBatchRows, S);
  const sum = (given: number[], graph: typeof forward) =>
    graphLengths(given).reduce((total, tokens) => total + graph(model, PASSAGES, tokens), 0);
  const tokens = (given: number[]) => given.reduce((a, b) => a + b, 0);
  const passages = (given: number[]) => sum(given, states) + head(model, tokens(given));

  const { chunks, chunkTokens, batchDocuments } = config.influenceModel;
  // The encoder has no logits, so its vocabulary takes memory only for weights.
  const scratch = scratchShape(config.influenceModel, corpus.tokenizer.vocabularySize);
  const encoder = { ...scratch, vocabularySize: 0 };
  const encoderWeights = 4 * count(bertSpecs(scratch));
  const predicting = ENCODER_GRAPHS * states(encoder, Math.ceil(GROUP_TOKENS / chunkTokens), chunkTokens);
  const scored = Math.ceil(corpus.rows / config.scoring.jobs);
  const holdOut = config.pools.holdOut * corpus.rows;
  const prepared = {
    exact: trainer,
    directional: 8 * weights + sum(lengths.reference, training),
    lookahead:
      10 * weights +
      training(model, batchRows, S) +
      training(model, batchRows, Math.max(...lengths.reference)) +
      passages(lengths.reference.slice(0, Math.ceil(lengths.reference.length / 4))) +
      52 * holdOut,
  };
  const twoCopies = 3 * weights + forward(model, ROWS, S) + 28 * holdOut;
  const probes = {
    exact: 4 * weights + training(model, 1, S) + passages(lengths.reference) + 28 * holdOut,
    directional: twoCopies,
    lookahead: twoCopies,
  };
  const selected = 28 * config.selection.fraction * corpus.rows;
  const ngram = config.influenceModel.architecture === 'ngram';
  const { buckets } = config.influenceModel;
  return {
    prepare: BASE + 150e6 + (100 * corpus.documents) / corpus.shards.length,
    pretrain: BASE + trainer + selected,
    'prepare-probe': BASE + prepared[config.probe.method],
    probe: BASE + probes[config.probe.method],
    evaluate:
      BASE +
      trainer +
      passages(lengths.reference) +
      passages(lengths.heldOut) +
      forward(model, ROWS, S) +
      28 * holdOut +
      selected,
    'fit-influence': ngram
      ? BASE + 20e6 + 16 * buckets
      : BASE + 7 * encoderWeights + training(encoder, batchDocuments * chunks, chunkTokens) + predicting,
    score: BASE + 24 * scored + (ngram ? 20e6 + 8 * buckets : encoderWeights + predicting),
  };
}

/** The distinct lengths that a set's batches are padded to. */
function graphLengths(passages: number[]): number[] {
  const sorted = [...passages].sort((a, b) => a - b);
  const batches = sorted.filter((_, i) => i % PASSAGES === PASSAGES - 1 || i === sorted.length - 1);
  return [...new Set(paddedLengths(batches, LENGTHS))];
}

function count(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
