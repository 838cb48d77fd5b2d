/** Turns texts into the wordpieces of a pretrained encoder, in threads, so that the encoder need not wait for them. */
import { availableParallelism } from 'node:os';
import { type WorkerKind, WorkerPool } from '../../core/threads/worker-pool.ts';
import type { ChunkShape, WordPieceFiles } from '../../core/tokenizer/encoder-input.ts';
import type { DocumentPieces } from '../../engine/bert/influence-scorer.ts';

/** What a thread is started with. */
export interface WordPieceSetup extends ChunkShape {
  files: WordPieceFiles;
}

/** The pieces of all texts of a request, one after the other; empty when a thread reports that it is ready. */
export interface PackedPieces {
  ids: Int32Array<ArrayBuffer>;
  /** Tokens in each piece. */
  lengths: Int32Array<ArrayBuffer>;
  /** Pieces of each text. */
  counts: Int32Array<ArrayBuffer>;
}

const WORD_PIECE_WORKER: WorkerKind = {
  source: new URL('./word-pieces-worker.ts', import.meta.url).href,
  bundled: 'word-pieces-worker',
  called: 'tokenizing thread',
  remedy: 'The same command resumes.',
};

/** More threads do not pay: each makes the pieces of some thousand texts a second, and has a tokenizer of its own. */
const MOST_THREADS = 8;

export class WordPieces {
  private readonly setup: WordPieceSetup;
  private readonly threads: number;
  private pool: Promise<WorkerPool<string[], PackedPieces>> | undefined;

  /** @param threads of the engine, 0 for one per core. One less is used here, because one has to feed the encoder. */
  constructor(setup: WordPieceSetup, threads: number) {
    this.setup = setup;
    this.threads = Math.min(MOST_THREADS, Math.max(1, (threads || availableParallelism()) - 1));
  }

  /** The pieces of each text. Threads are started when they are first needed, and end with the process. */
  async of(texts: readonly string[]): Promise<DocumentPieces[]> {
    this.pool ??= WorkerPool.start(WORD_PIECE_WORKER, new Array(this.threads).fill(this.setup));
    const pool = await this.pool;
    const share = Math.ceil(texts.length / pool.size);
    const parts = await Promise.all(
      Array.from({ length: pool.size }, (_, i) => pool.ask(i, texts.slice(i * share, (i + 1) * share))),
    );
    return parts.flatMap(unpack);
  }
}

function unpack({ ids, lengths, counts }: PackedPieces): DocumentPieces[] {
  let [piece, at] = [0, 0];
  return Array.from(counts, (count) =>
    Array.from({ length: count }, () => {
      const from = at;
      at += lengths[piece++]!;
      return ids.subarray(from, at);
    }),
  );
}
