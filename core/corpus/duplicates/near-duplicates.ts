/**
 * Finds documents that say nearly what another one says, by MinHash over runs of words (core/dedup), before there is a
 * tokenizer. Each band's keys are in a temporary file, 8 bytes a document. Memory holds one band's keys, 4 bytes a
 * document for the clusters, and the words of the documents that are about to be hashed.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOf } from '../../bytes.ts';
import { DuplicateClusters } from '../../dedup/clusters.ts';
import { DEFAULT_MINHASH, MinHasher } from '../../dedup/minhash.ts';
import { FNV_START, fnv1a, spread } from '../../random/spread.ts';
import type { Spool } from '../packing/spool.ts';

/**
 * How many documents' keys are written together, and how many words, of 4 bytes each, these may have: some are books.
 */
const AT_ONCE = 4096;
const WORDS_AT_ONCE = 1 << 22;

/**
 * Keeps the first document of each cluster of near-duplicates, in the order of the shards and their spools.
 *
 * @param directory for temporary files, which the caller removes.
 * @param onDocument called after each document, with the documents done.
 * @returns for each shard, 1 for documents to keep and 0 for others, in the order of its spool.
 */
export async function withoutNearDuplicates(
  spool: Spool,
  directory: string,
  seed: number,
  onDocument: (done: number) => void,
): Promise<Uint8Array[]> {
  const documents = spool.counts.reduce((sum, count) => sum + count, 0);
  const hasher = new MinHasher({ ...DEFAULT_MINHASH, seed });
  const files: FileHandle[] = [];
  try {
    for (let band = 0; band < hasher.spec.bands; band++) files.push(await open(join(directory, `band-${band}`), 'w+'));
    let waiting: Int32Array[] = [];
    let words = 0;
    let done = 0;
    const write = async () => {
      for (const [band, keys] of hasher.bandKeys(waiting).entries()) await files[band]!.appendFile(bytesOf(keys));
      waiting = [];
      words = 0;
    };
    for (const shard of spool.counts.keys())
      for await (const { text } of spool.read(shard)) {
        const document = wordsOf(text);
        waiting.push(document);
        words += document.length;
        if (waiting.length === AT_ONCE || words >= WORDS_AT_ONCE) await write();
        onDocument(++done);
      }
    await write();

    const clusters = new DuplicateClusters(documents);
    const keys = new Uint32Array(2 * documents);
    for (const file of files) {
      await readWhole(file, bytesOf(keys));
      clusters.addBand(keys);
    }
    const first = clusters.representatives();
    let from = 0;
    return spool.counts.map((count) => {
      const kept = Uint8Array.from({ length: count }, (_, i) => (first[from + i] === from + i ? 1 : 0));
      from += count;
      return kept;
    });
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function readWhole(file: FileHandle, into: Uint8Array): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, at);
    if (bytesRead === 0) throw new Error('a file of band keys ended early');
    at += bytesRead;
  }
}

/** Scripts that put no space between words. */
const UNSPACED = '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}';
const IS_UNSPACED = new RegExp(`[${UNSPACED}]`, 'u');
const WORDS = /[\p{L}\p{M}\p{N}]+/gu;
const WORDS_AND_CHARACTERS = new RegExp(`[${UNSPACED}]|(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}])+`, 'gu');

/**
 * A number for each word; like tokens, none is negative. A word is a run of letters and digits, whatever their case. In
 * scripts without spaces each character is a word, and so is each sign in a text that has nothing else.
 */
function wordsOf(text: string): Int32Array {
  const lower = text.toLowerCase();
  const words = lower.match(IS_UNSPACED.test(lower) ? WORDS_AND_CHARACTERS : WORDS) ?? lower.match(/\S/gu) ?? [];
  return Int32Array.from(words, (word) => {
    let hash = FNV_START;
    for (let i = 0; i < word.length; i++) hash = fnv1a(hash, word.charCodeAt(i));
    return spread(hash) >>> 1;
  });
}
