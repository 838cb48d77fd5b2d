/**
 * How documents become the input of the influence model's encoder: wordpieces of their text for a pretrained BERT, or
 * their own token ids for an encoder from scratch.
 */
import { ConfigError, InputError } from '../errors.ts';
import type { CorpusIndex } from '../formats.ts';
import { TOKENIZER_FILE } from '../layout.ts';
import { getJsonIfPresent, type Store } from '../storage/index.ts';
import { libraryTokenizer } from './library-tokenizer.ts';
import { vocabulary } from './load.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

/** A document; an {@link EncoderInput} reads the one field that it names. */
export interface EncoderDocument {
  text?: string;
  tokens?: ArrayLike<number>;
}

/** Documents, each read as `chunks` independent pieces of `length` tokens. */
export interface DocumentBatch {
  documents: number;
  chunks: number;
  length: number;
  /** [documents * chunks * length], row-major. */
  tokens: Int32Array;
  /** Same size: 1 for a token, 0 for padding. A chunk may be all padding. */
  mask: Float32Array;
}

export interface EncoderInput {
  /** Which field of a document is read. */
  readonly reads: 'text' | 'tokens';
  /**
   * The ids of the chunks that have any, in order. The end of a document that does not fit into the chunks is left out.
   */
  pieces(document: EncoderDocument): ArrayLike<number>[];
  /** The same for several documents, padded to the full size. */
  batch(documents: readonly EncoderDocument[]): DocumentBatch;
}

export interface ChunkShape {
  /** Pieces that a document is read in, at most. */
  chunks: number;
  /** Tokens in a piece, special tokens included. */
  chunkTokens: number;
}

/**
 * The input of an encoder from scratch: a row's own ids, cut into chunks. One id beyond the vocabulary is reserved for
 * padding, so the encoder's vocabulary is one larger than the tokenizer's.
 */
export function rowEncoderInput(corpus: CorpusIndex, shape: ChunkShape): EncoderInput {
  const padding = corpus.tokenizer.vocabularySize;
  const { chunks, chunkTokens } = shape;
  return encoderInput('tokens', shape, padding, ({ tokens = [] }) => {
    const pieces = Math.min(chunks, Math.ceil(tokens.length / chunkTokens));
    return Array.from({ length: pieces }, (_, i) => slice(tokens, i * chunkTokens, (i + 1) * chunkTokens));
  });
}

/** What is needed to make wordpieces: files of a pretrained encoder's directory, as plain data. */
export interface WordPieceFiles {
  /** Where the tokenizer is, for messages. */
  file: string;
  tokenizer: TokenizerJson;
  /** Positions that the encoder has; absent if its directory does not say. */
  positions?: number;
}

/** @throws InputError when there is no tokenizer. */
export async function readWordPieceFiles(store: Store): Promise<WordPieceFiles> {
  const file = `${store.uri}/tokenizer.json`;
  const tokenizer = await getJsonIfPresent<WordPieceFiles['tokenizer']>(store, TOKENIZER_FILE);
  if (!tokenizer)
    throw new InputError(`${file} does not exist; a pretrained encoder needs its tokenizer beside its weights.`);
  if (typeof tokenizer.model?.vocab !== 'object')
    throw new InputError(`${file}: not a Hugging Face tokenizer.json (it has no model.vocab).`);
  const config = await getJsonIfPresent<{ max_position_embeddings?: number }>(store, 'config.json');
  return { file, tokenizer, positions: config?.max_position_embeddings };
}

/**
 * The input of a pretrained BERT: wordpieces by the directory's tokenizer.json, cut into chunks that each begin with
 * [CLS] and end with [SEP]. A document shorter than a chunk leaves the other chunks empty.
 *
 * @throws InputError when the tokenizer has no [CLS], [SEP] or [PAD].
 * @throws ConfigError when a chunk is longer than what the encoder was trained to read, the tokenizer has an id that can be
 *   none, or it is of a kind that would be read unlike Hugging Face's.
 */
export function wordPieceEncoderInput(files: WordPieceFiles, shape: ChunkShape): EncoderInput {
  const { chunks, chunkTokens } = shape;
  const longest = files.positions ?? chunkTokens;
  if (chunkTokens > longest || chunkTokens < 3)
    throw new ConfigError(
      `influenceModel.chunkTokens: ${chunkTokens}, expected 3 to ${longest}, the encoder's positions; ` +
        'longer documents are read in several influenceModel.chunks.',
    );
  const vocab = vocabulary(files.tokenizer, files.file);
  const [cls, sep, padding] = ['[CLS]', '[SEP]', '[PAD]'].map((token) => {
    const id = vocab.get(token);
    if (id === undefined) throw new InputError(`${files.file} has no ${token} token; name a BERT.`);
    return id;
  }) as [number, number, number];
  const { encode } = libraryTokenizer(files.tokenizer, vocab, files.file);
  const room = chunkTokens - 2;
  const firstIds = wordByWord(files) ? (text: string) => encodeStart(text, chunks * room, encode) : encode;
  return encoderInput('text', shape, padding, ({ text = '' }) => {
    const ids = firstIds(text);
    const pieces = Math.min(chunks, Math.max(1, Math.ceil(ids.length / room)));
    return Array.from({ length: pieces }, (_, i) => [cls, ...ids.slice(i * room, (i + 1) * room), sep]);
  });
}

/** Whether a text cut at a space has the ids of its parts, one after the other, as with BERT's tokenizers. */
function wordByWord({ tokenizer: { normalizer, pre_tokenizer, model, added_tokens = [] } }: WordPieceFiles): boolean {
  return (
    normalizer?.type === 'BertNormalizer' &&
    pre_tokenizer?.type === 'BertPreTokenizer' &&
    model?.type === 'WordPiece' &&
    added_tokens.every(({ content }) => !/\s/.test(content))
  );
}

/**
 * English has some 4.5 characters a wordpiece, spaces included. If this many give too few pieces, more of the text is
 * read.
 */
const CHARACTERS_A_PIECE = 6;

/** At least the first `wanted` ids of a text, if it has so many, without reading all of a long one. */
function encodeStart(text: string, wanted: number, encode: (text: string) => number[]): number[] {
  const ids: number[] = [];
  for (let begin = 0; begin < text.length && ids.length < wanted; ) {
    const space = text.indexOf(' ', begin + CHARACTERS_A_PIECE * (wanted - ids.length));
    const end = space < 0 ? text.length : space;
    for (const id of encode(text.slice(begin, end))) ids.push(id);
    begin = end;
  }
  return ids;
}

function encoderInput(
  reads: EncoderInput['reads'],
  shape: ChunkShape,
  padding: number,
  pieces: EncoderInput['pieces'],
): EncoderInput {
  return { reads, pieces, batch: (documents) => fill(documents, shape, padding, pieces) };
}

/** Lays the documents' chunks side by side, padded to the full size. */
function fill(
  documents: readonly EncoderDocument[],
  { chunks, chunkTokens }: ChunkShape,
  padding: number,
  piecesOf: (document: EncoderDocument) => ArrayLike<number>[],
): DocumentBatch {
  const size = documents.length * chunks * chunkTokens;
  const tokens = new Int32Array(size).fill(padding);
  const mask = new Float32Array(size);
  documents.forEach((document, d) => {
    piecesOf(document).forEach((piece, c) => {
      const at = (d * chunks + c) * chunkTokens;
      tokens.set(piece, at);
      mask.fill(1, at, at + piece.length);
    });
  });
  return { documents: documents.length, chunks, length: chunkTokens, tokens, mask };
}

function slice(values: ArrayLike<number>, begin: number, end: number): ArrayLike<number> {
  return Array.prototype.slice.call(values, begin, end);
}
