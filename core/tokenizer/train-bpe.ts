/** Trains a byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2) on word counts, with incremental pair counts. */
import { ConfigError } from '../errors.ts';
import { BYTE_CHARACTERS, splitWords } from './byte-level.ts';
import { MinHeap } from './heap.ts';

const END_OF_TEXT = '<|endoftext|>';

/** A pair seen once makes no merge: the token would fit one place of the corpus only. */
const LEAST_PAIR_COUNT = 2;

/** Pairs are numbered `left * PAIR + right`: exact in a double for any vocabulary below 2^26. */
const PAIR = 2 ** 26;

/**
 * Trains a byte-level BPE and returns a Hugging Face `tokenizer.json`. Id 0 is `<|endoftext|>`, then come the 256 bytes,
 * then the merges; ties go to the lower pair of ids, as in the Hugging Face trainer, so the result is deterministic.
 *
 * @param texts training documents, whose order does not matter.
 * @param vocabularySize of all tokens together; the vocabulary is smaller only when the texts have no further pair that
 *   occurs twice.
 * @throws ConfigError when the vocabulary has no room for the bytes and `<|endoftext|>`.
 */
export function trainBpe(texts: Iterable<string>, vocabularySize: number): string {
  if (!(vocabularySize >= 257)) {
    throw new ConfigError(`a vocabulary of ${vocabularySize} is too small: 256 bytes and ${END_OF_TEXT} need 257.`);
  }
  const alphabet = [...BYTE_CHARACTERS].sort(); // the order of the Hugging Face trainer
  const tokens = [END_OF_TEXT, ...alphabet];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = new WordPairs(
    countWords(texts),
    Uint32Array.from(BYTE_CHARACTERS, (character) => ids.get(character)!),
  );
  const merges: [string, string][] = [];
  while (tokens.length < vocabularySize) {
    const best = words.mostFrequent();
    if (!best) break;
    const [left, right] = best;
    const token = tokens[left]! + tokens[right]!;
    merges.push([tokens[left]!, tokens[right]!]);
    let id = ids.get(token); // two pairs may spell the same token
    if (id === undefined) {
      id = tokens.length;
      tokens.push(token);
      ids.set(token, id);
    }
    words.merge(left, right, id);
  }
  return tokenizerJson(tokens, merges);
}

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** The distinct words as symbols, with the count of each pair of neighbours and where it occurs. */
class WordPairs {
  private readonly symbols: Uint32Array;
  private readonly starts: Uint32Array;
  private readonly lengths: Uint32Array;
  private readonly counts: Float64Array;
  private readonly pairCounts = new Map<number, number>();
  /** Words in which a pair occurs or once occurred. */
  private readonly pairWords = new Map<number, number[]>();
  /** Pairs by descending count; an entry whose count is no longer right is corrected when it comes up. */
  private readonly queue = new MinHeap();

  constructor(words: Map<string, number>, byteIds: Uint32Array) {
    const bytes = [...words.keys()].map((word) => Buffer.from(word));
    this.counts = Float64Array.from(words.values());
    this.lengths = Uint32Array.from(bytes, (word) => word.length);
    this.starts = new Uint32Array(bytes.length);
    this.symbols = new Uint32Array(this.lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    bytes.forEach((word, index) => {
      this.starts[index] = at;
      for (let i = 0; i < word.length; i++) {
        this.symbols[at + i] = byteIds[word[i]!]!;
        if (i > 0) this.add(this.symbols[at + i - 1]!, this.symbols[at + i]!, this.counts[index]!, index);
      }
      at += word.length;
    });
    for (const [pair, count] of this.pairCounts) this.queue.push(-count, pair);
  }

  /** The most frequent pair; of equals the lowest; undefined when none occurs often enough. */
  mostFrequent(): [left: number, right: number] | undefined {
    for (;;) {
      const { priority, item: pair } = this.queue;
      if (priority === undefined || pair === undefined) return undefined;
      const count = this.pairCounts.get(pair) ?? 0;
      if (count >= LEAST_PAIR_COUNT && count === -priority) return [Math.floor(pair / PAIR), pair % PAIR];
      this.queue.pop();
      if (count >= LEAST_PAIR_COUNT && count < -priority) this.queue.push(-count, pair);
    }
  }

  /** Replaces a pair by a token in every word. */
  merge(left: number, right: number, token: number): void {
    const pair = left * PAIR + right;
    const created = new Set<number>();
    for (const word of this.pairWords.get(pair) ?? []) this.mergeInWord(word, left, right, token, created);
    this.pairCounts.delete(pair);
    this.pairWords.delete(pair);
    created.delete(pair);
    for (const other of created) this.queue.push(-this.pairCounts.get(other)!, other);
  }

  private mergeInWord(word: number, left: number, right: number, token: number, created: Set<number>): void {
    const { symbols } = this;
    const start = this.starts[word]!;
    const end = start + this.lengths[word]!;
    const count = this.counts[word]!;
    let to = start;
    for (let from = start; from < end; from++) {
      if (symbols[from] !== left || from + 1 >= end || symbols[from + 1] !== right) {
        symbols[to++] = symbols[from]!;
        continue;
      }
      from++; // at `right` now
      if (to > start) {
        this.remove(symbols[to - 1]!, left, count);
        created.add(this.add(symbols[to - 1]!, token, count, word));
      }
      if (from + 1 < end) {
        this.remove(right, symbols[from + 1]!, count);
        created.add(this.add(token, symbols[from + 1]!, count, word));
      }
      symbols[to++] = token;
    }
    this.lengths[word] = to - start;
  }

  private add(left: number, right: number, count: number, word: number): number {
    const pair = left * PAIR + right;
    this.pairCounts.set(pair, (this.pairCounts.get(pair) ?? 0) + count);
    const words = this.pairWords.get(pair);
    if (!words) this.pairWords.set(pair, [word]);
    else if (words.at(-1) !== word) words.push(word);
    return pair;
  }

  private remove(left: number, right: number, count: number): void {
    const pair = left * PAIR + right;
    this.pairCounts.set(pair, (this.pairCounts.get(pair) ?? 0) - count);
  }
}

/** The file that `tokenizers` (Python, Rust, JavaScript) loads. */
function tokenizerJson(tokens: string[], merges: [string, string][]): string {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: END_OF_TEXT,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}
