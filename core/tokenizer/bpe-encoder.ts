/** Encodes words with a byte-level BPE: lowest-ranked merge first, leftmost of equals, with a cache of words. */
import { MinHeap } from './heap.ts';

/** Words longer than this go through a heap; below it, scanning for the best pair is quicker. */
const SCANNED_BYTES = 64;

/**
 * At first there are few distinct words, later mostly one-offs: a full cache is emptied, without tracking which were
 * used.
 */
const CACHED_WORDS = 1 << 18;

const NO_MERGE = Infinity;

export class BpeEncoder {
  private readonly byteIds: Uint32Array;
  private readonly ranks: Map<number, number>;
  private readonly mergedIds: Uint32Array;
  private readonly idLimit: number;
  private readonly wholeWords: Map<string, number> | undefined;
  private cache = new Map<string, number[]>();

  /**
   * @param byteIds id of each of the 256 bytes.
   * @param merges `[left, right, merged]` ids in order of rank.
   * @param wholeWords words that are tokens as they stand, merges or not (`ignore_merges`), keyed by their text.
   */
  constructor(byteIds: Uint32Array, merges: readonly [number, number, number][], wholeWords?: Map<string, number>) {
    this.byteIds = byteIds;
    this.idLimit = 1 + merges.reduce((most, merge) => Math.max(most, ...merge), Math.max(...byteIds));
    this.ranks = new Map();
    merges.forEach(([left, right], rank) => {
      this.ranks.set(left * this.idLimit + right, rank);
    });
    this.mergedIds = Uint32Array.from(merges, (merge) => merge[2]);
    this.wholeWords = wholeWords;
  }

  /** Ids of one word, as `splitWords` gives it. The array is shared: do not change it. */
  encodeWord(word: string): readonly number[] {
    const known = this.cache.get(word);
    if (known) return known;
    const bytes = Buffer.from(word);
    const whole = this.wholeWords?.get(word);
    const ids = whole === undefined ? this.encodeBytes(bytes) : [whole];
    if (bytes.length <= SCANNED_BYTES) {
      if (this.cache.size >= CACHED_WORDS) this.cache = new Map();
      // decoded anew: a word cut from a document would keep the whole document in memory
      this.cache.set(bytes.toString(), ids);
    }
    return ids;
  }

  private encodeBytes(bytes: Uint8Array): number[] {
    const ids = Array.from(bytes, (byte) => this.byteIds[byte]!);
    return bytes.length <= SCANNED_BYTES ? this.mergeByScan(ids) : this.mergeByHeap(ids);
  }

  private rank(left: number, right: number): number {
    return this.ranks.get(left * this.idLimit + right) ?? NO_MERGE;
  }

  private mergeByScan(ids: number[]): number[] {
    const ranks = ids.map((id, i) => (i + 1 < ids.length ? this.rank(id, ids[i + 1]!) : NO_MERGE));
    for (;;) {
      let best = 0;
      for (let i = 1; i < ranks.length; i++) if (ranks[i]! < ranks[best]!) best = i;
      const rank = ranks[best];
      if (rank === undefined || rank === NO_MERGE) return ids;
      ids[best] = this.mergedIds[rank]!;
      ids.splice(best + 1, 1);
      ranks.splice(best + 1, 1);
      ranks[best] = best + 1 < ids.length ? this.rank(ids[best]!, ids[best + 1]!) : NO_MERGE;
      if (best > 0) ranks[best - 1] = this.rank(ids[best - 1]!, ids[best]!);
    }
  }

  /** The same merges in n log n: a run of a million letters is one word. */
  private mergeByHeap(ids: number[]): number[] {
    const end = ids.length;
    const next = Uint32Array.from(ids, (_, i) => i + 1);
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    const queue = new MinHeap();
    const rankAt = (i: number) => (i >= 0 && next[i]! < end ? this.rank(ids[i]!, ids[next[i]!]!) : NO_MERGE);
    const offer = (i: number) => {
      const rank = rankAt(i);
      if (rank !== NO_MERGE) queue.push(rank, i);
    };
    for (let i = 0; i < end; i++) offer(i);
    while (queue.size > 0) {
      const rank = queue.priority!;
      const at = queue.item!;
      queue.pop();
      if (ids[at]! < 0 || rankAt(at) !== rank) continue; // merged away, or its neighbour was
      const gone = next[at]!;
      ids[at] = this.mergedIds[rank]!;
      ids[gone] = -1;
      next[at] = next[gone]!;
      if (next[at]! < end) previous[next[at]!] = at;
      offer(at);
      offer(previous[at]!);
    }
    return ids.filter((id) => id >= 0);
  }
}
