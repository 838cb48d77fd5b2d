/** Reads a prepared corpus: token rows, texts and domains by global row number. */
import type { RunConfig } from '../config/schema.ts';
import { InputError } from '../errors.ts';
import type { CorpusIndex, CorpusShard, RowRange } from '../formats.ts';
import { sha256 } from '../hash.ts';
import { CORPUS_FILE } from '../layout.ts';
import { mapParallel } from '../parallel.ts';
import { readParquet } from '../parquet.ts';
import { getRecordIfPresent, type Store, type StoreOpener } from '../storage/index.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.ts';

/** Rows that lie at most this far apart are fetched in one read: on S3 a request costs about as much as 1 MB. */
const COALESCE_BYTES = 1 << 20;

/** Most token bytes of one read, gaps included: rows that are spread over a shard must not fetch it whole. */
const READ_BYTES = 16 << 20;

/** Reads under way at once: rows of a batch lie far apart, and S3 takes some 30 ms to answer each. */
const READS = 8;
/** The same of texts, which are some times the size of their tokens. */
const TEXT_READS = 4;

/** Opens a prepared corpus. Throws InputError when `corpus.json`, which is written last, is not there. */
export async function openCorpus(store: Store): Promise<Corpus> {
  const index = await corpusIndex(store);
  if (!index) throw new InputError(`${store.uri} holds no prepared corpus (no ${CORPUS_FILE}): prepare it first.`);
  return new Corpus(store, index);
}

/** The index of the prepared corpus that a configuration names; undefined where it names none or none is there yet. */
export async function preparedIndex({ corpus }: RunConfig, open: StoreOpener): Promise<CorpusIndex | undefined> {
  return corpus.prepared === undefined ? undefined : corpusIndex(open(corpus.prepared));
}

/** Undefined where there is no prepared corpus. */
export const corpusIndex = (store: Store) =>
  getRecordIfPresent<CorpusIndex>(store, CORPUS_FILE, 'mates-corpus/1', 'prepare it again');

export class Corpus {
  readonly store: Store;
  readonly index: CorpusIndex;
  private loaded: Promise<Tokenizer> | undefined;

  constructor(store: Store, index: CorpusIndex) {
    this.store = store;
    this.index = index;
  }

  /** The corpus's tokenizer, checked against the hash in the index. */
  tokenizer(): Promise<Tokenizer> {
    this.loaded ??= this.loadTokenizer();
    return this.loaded;
  }

  private async loadTokenizer(): Promise<Tokenizer> {
    const { key, sha256: expected, endOfText } = this.index.tokenizer;
    const bytes = await this.store.get(key);
    if (sha256(bytes) !== expected) throw this.changed(key);
    return loadTokenizer(bytes, `${this.store.uri}/${key}`, { end: endOfText });
  }

  /**
   * Token ids of rows, flat: `rows x sequenceLength`, in the order asked for. Neighbouring rows are fetched in one read,
   * so ascending row numbers are cheapest.
   */
  async tokenRows(rows: RowRange | ArrayLike<number>): Promise<Int32Array> {
    const { sequenceLength } = this.index;
    const wanted = asRows(rows);
    const result = new Int32Array(wanted.length * sequenceLength);
    await mapParallel(this.plan(wanted), READS, async (part) => {
      const shard = this.index.shards[part.shard]!;
      const ids = await this.readIds(shard, part.begin, part.end);
      for (const { at, row } of part.rows) {
        const from = (row - part.begin) * sequenceLength;
        result.set(ids.subarray(from, from + sequenceLength), at * sequenceLength);
      }
    });
    return result;
  }

  /** The text of rows (their tokens decoded, ends of documents included), in the order asked for. */
  texts(rows: RowRange | ArrayLike<number>): Promise<string[]> {
    return this.strings('text', rows);
  }

  /** The text of rows, cut where documents end, without the token that marks the end. */
  async documentTexts(rows: RowRange | ArrayLike<number>): Promise<string[][]> {
    const tokenizer = await this.tokenizer();
    const mark = tokenizer.decode([tokenizer.endOfText]);
    return (await this.texts(rows)).map((text) => text.split(mark).filter((passage) => passage !== ''));
  }

  /** The ids of the documents that each row has a part of, in their order in the row. */
  async documents(rows: RowRange | ArrayLike<number>): Promise<string[][]> {
    return (await this.strings('documents', rows)).map((ids) => JSON.parse(ids));
  }

  private async strings(column: 'text' | 'documents', rows: RowRange | ArrayLike<number>): Promise<string[]> {
    const wanted = asRows(rows);
    const result: string[] = new Array(wanted.length);
    await mapParallel(this.plan(wanted), TEXT_READS, async (part) => {
      const shard = this.index.shards[part.shard]!;
      const { [column]: values } = await readParquet(
        { store: this.store, key: shard.text.key },
        { [column]: 'STRING' } as const,
        { begin: part.begin - shard.firstRow, end: part.end - shard.firstRow },
      );
      for (const { at, row } of part.rows) result[at] = values![row - part.begin]!;
    });
    return result;
  }

  /** The shard that holds a global row. */
  shardOf(row: number): number {
    const { shards, rows } = this.index;
    if (!(row >= 0 && row < rows)) throw new RangeError(`row ${row} is not in the corpus, which has ${rows} rows`);
    let low = 0;
    let high = shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (shards[middle]!.firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private changed(key: string): InputError {
    return new InputError(
      `${this.store.uri}/${key} is not the file that ${CORPUS_FILE} describes (its sha256 differs): ` +
        'it was changed or damaged; delete the corpus and prepare it again.',
    );
  }

  /** Groups rows into reads: ascending, within one shard, joined across small gaps. `at` is the row's place in the answer. */
  private plan(rows: ArrayLike<number>): Read[] {
    const rowBytes = this.index.sequenceLength * this.idBytes;
    const order = Array.from(rows, (row, at) => ({ at, row })).sort((a, b) => a.row - b.row);
    const reads: Read[] = [];
    for (const entry of order) {
      const last = reads.at(-1);
      const shard =
        last && entry.row < this.index.shards[last.shard]!.firstRow + this.index.shards[last.shard]!.rows
          ? last.shard
          : this.shardOf(entry.row);
      const near = last?.shard === shard && (entry.row - last.end) * rowBytes <= COALESCE_BYTES;
      if (near && (entry.row + 1 - last.begin) * rowBytes <= READ_BYTES) {
        last.end = Math.max(last.end, entry.row + 1);
        last.rows.push(entry);
      } else {
        reads.push({ shard, begin: entry.row, end: entry.row + 1, rows: [entry] });
      }
    }
    return reads;
  }

  private get idBytes(): 2 | 4 {
    return this.index.dtype === 'uint16' ? 2 : 4;
  }

  private async readIds(shard: CorpusShard, begin: number, end: number): Promise<Uint16Array | Uint32Array> {
    const rowBytes = this.index.sequenceLength * this.idBytes;
    const offset = (begin - shard.firstRow) * rowBytes;
    const length = (end - begin) * rowBytes;
    const bytes = await this.store.get(shard.tokens.key, { offset, length });
    if (bytes.length !== length) throw this.changed(shard.tokens.key);
    // copied, because a typed array must start at a multiple of its element size
    const copy = bytes.slice().buffer;
    return this.idBytes === 2 ? new Uint16Array(copy) : new Uint32Array(copy);
  }
}

interface Read {
  shard: number;
  begin: number;
  end: number;
  rows: { at: number; row: number }[];
}

function asRows(rows: RowRange | ArrayLike<number>): ArrayLike<number> {
  if ('begin' in rows) return Array.from({ length: rows.end - rows.begin }, (_, i) => rows.begin + i);
  return rows;
}
