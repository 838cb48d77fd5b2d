import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Run } from '../../core/run/open-run.ts';
import {
  type DocumentBatch,
  type EncoderInput,
  readWordPieceFiles,
  rowEncoderInput,
  wordPieceEncoderInput,
} from '../../core/tokenizer/encoder-input.ts';
import type { BertShape } from '../../engine/bert/bert.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import type { DocumentPieces } from '../../engine/bert/influence-scorer.ts';
import { loadPretrainedBert, pretrainedBertShape } from '../../engine/files/bert-checkpoint.ts';
import { type InitialSeed, initialParameters, type ParameterSet } from '../../engine/parameters.ts';
import { openRuntime } from '../model.ts';
import { WordPieces } from './word-pieces.ts';

/** The influence model's encoder, and how rows of the corpus become its input. */
export interface Encoder {
  regressor: InfluenceRegressor;
  shape: BertShape;
  /** Pieces that a row is cut into, and tokens in each. */
  chunks: number;
  chunkTokens: number;
  /** Pretrained encoder weights, or seeded ones; the regression head is always seeded. */
  initial(seed: InitialSeed): Promise<ParameterSet>;
  input: EncoderInput;
  /** Only if the input is text: makes the pieces of many rows while the encoder is computing. */
  wordPieces?: WordPieces;
  corpus: Corpus;
}

export async function openEncoder(run: Run, corpus: Corpus): Promise<Encoder> {
  const { config } = run.record;
  const runtime = await openRuntime(config);
  const { pretrained, chunks, chunkTokens } = config.influenceModel;
  const files = pretrained ? await readWordPieceFiles(run.open(pretrained)) : undefined;
  const shape = pretrained
    ? await pretrainedBertShape(run.open(pretrained))
    : scratchShape(config.influenceModel, corpus.index.tokenizer.vocabularySize);
  const input = files
    ? wordPieceEncoderInput(files, config.influenceModel)
    : rowEncoderInput(corpus.index, config.influenceModel);
  const regressor = new InfluenceRegressor(runtime, shape);
  return {
    regressor,
    shape,
    chunks,
    chunkTokens,
    input,
    wordPieces: files && new WordPieces({ files, chunks, chunkTokens }, config.engine.threads),
    corpus,
    initial: async (seed) =>
      pretrained
        ? loadPretrainedBert(run.open(pretrained), regressor.specs, seed)
        : initialParameters(regressor.specs, seed),
  };
}

/** From this many rows on, tokenization takes longer than starting threads. */
const WORTH_THREADS = 1024;

/** A batch of rows; short batches are filled up with the first row so that one graph serves all of them. */
export async function encodeRows(
  { input, corpus }: Encoder,
  rows: readonly number[],
  documents: number,
): Promise<DocumentBatch> {
  const filled = Array.from({ length: documents }, (_, i) => rows[i] ?? rows[0]!);
  return input.batch(await documentsOf(input, corpus, filled));
}

/** The encoder's input for each row. */
export async function rowPieces(encoder: Encoder, rows: readonly number[]): Promise<DocumentPieces[]> {
  const { input, corpus, wordPieces } = encoder;
  if (wordPieces && rows.length >= WORTH_THREADS) return wordPieces.of(await textsOf(corpus, rows));
  return (await documentsOf(input, corpus, rows)).map((document) => input.pieces(document));
}

async function documentsOf(input: EncoderInput, corpus: Corpus, rows: readonly number[]) {
  if (input.reads === 'text') return (await textsOf(corpus, rows)).map((text) => ({ text }));
  const { sequenceLength } = corpus.index;
  const tokens = await corpus.tokenRows(rows);
  return rows.map((_, i) => ({ tokens: tokens.subarray(i * sequenceLength, (i + 1) * sequenceLength) }));
}

/** The rows' texts, without the end-of-text token between documents, which a pretrained encoder does not know. */
const textsOf = async (corpus: Corpus, rows: readonly number[]) =>
  (await corpus.documentTexts(rows)).map((passages) => passages.join(' '));

/** A small BERT over the corpus tokenizer's ids, plus one id for padding. */
export function scratchShape(config: RunConfig['influenceModel'], vocabularySize: number): BertShape {
  return {
    layers: config.layers,
    width: config.width,
    heads: config.heads,
    intermediateWidth: 4 * config.width,
    vocabularySize: vocabularySize + 1,
    maxPositions: config.chunkTokens,
    typeVocabularySize: 2,
    layerNormEpsilon: 1e-12,
    initializerStd: 0.02,
  };
}
