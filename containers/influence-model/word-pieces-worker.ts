/** Entry point of a tokenizing thread, started by `word-pieces.ts` with a {@link WordPieceSetup}. */
import { workerData } from 'node:worker_threads';
import { serve } from '../../core/threads/worker-pool.ts';
import { wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import type { PackedPieces, WordPieceSetup } from './word-pieces.ts';

const { files, chunks, chunkTokens }: WordPieceSetup = workerData;
const input = wordPieceEncoderInput(files, { chunks, chunkTokens });

function pack(texts: readonly string[]): PackedPieces {
  const documents = texts.map((text) => input.pieces({ text }));
  const pieces = documents.flat();
  const lengths = Int32Array.from(pieces, ({ length }) => length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    ids.set(piece, at);
    at += piece.length;
  }
  return { ids, lengths, counts: Int32Array.from(documents, ({ length }) => length) };
}

serve<string[], PackedPieces>(
  async () => pack([]),
  async (texts) => pack(texts),
  ({ ids, lengths, counts }) => [ids.buffer, lengths.buffer, counts.buffer],
);
