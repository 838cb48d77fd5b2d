import { join } from 'node:path';
import { InputError, InterruptedError } from '../../errors.ts';
import type { CorpusShard } from '../../formats.ts';
import type { Store } from '../../storage/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { keptDocuments } from '../duplicates/duplicates.ts';
import { ShardPacker } from './pack.ts';
import { RowFile } from './row-file.ts';
import { Spool } from './spool.ts';
import { type ShardFormat, ShardWriter } from './write-shard.ts';

/**
 * What all shards of a preparation have in common, except the tokenizer and the store, which cannot be sent to a
 * thread.
 */
export interface PackingSetup {
  /** Where the spool is, and rows on their way to a shard's files. */
  directory: string;
  /** Documents of each shard in the spool. */
  counts: readonly number[];
  /** Names of the spool's domains, by their numbers there. */
  names: readonly string[];
  /** Names of the corpus's domains, in its order. */
  domains: readonly string[];
  sequenceLength: number;
  /** Bytes of a token on disk. */
  idBytes: 2 | 4;
  /** One number, 0 until the work is to stop. */
  stop: Int32Array<SharedArrayBuffer>;
}

/** What a shard's documents were packed into. */
export interface PackedRows {
  rows: number;
  /** Tokens left over, less than a row. */
  droppedTokens: number;
}

export interface WrittenShard {
  shard: CorpusShard;
  /** Rows of each domain that has any. */
  domainRows: [name: string, rows: number][];
}

/**
 * Makes shards of spooled documents, in this thread and one at a time. A shard takes two steps, because its files hold
 * its rows' numbers in the corpus, which depend on the rows of all shards before it. Between the steps its rows are in
 * a temporary file.
 */
export class ShardMaker {
  private readonly setup: PackingSetup;
  private readonly spool: Spool;
  private readonly format: ShardFormat;
  private readonly target: Store;

  constructor(setup: PackingSetup, tokenizer: Tokenizer, target: Store) {
    const { directory, counts, domains, sequenceLength, idBytes } = setup;
    this.setup = setup;
    this.spool = Spool.opened(directory, counts);
    const ids = new Map(domains.map((name, id) => [name, id]));
    this.format = { tokenizer, sequenceLength, idBytes, domains: ids };
    this.target = target;
  }

  /**
   * First step, and nearly all of the work: tokenizes the documents that are kept and packs them into rows. Removes the
   * shard's files from the spool.
   *
   * @param distinct 0 for documents that are near-duplicates of another; by default none is.
   */
  async pack(shard: number, distinct?: Uint8Array): Promise<PackedRows> {
    const { spool } = this;
    const { tokenizer, sequenceLength } = this.format;
    const rows = this.rowsOf(shard);
    const packer = new ShardPacker(sequenceLength, tokenizer.endOfText);
    const isKept = await keptDocuments(spool, shard, distinct);
    let count = 0;
    let at = 0;
    for await (const { id, domain, text } of spool.read(shard)) {
      if (!isKept[at++]) continue;
      this.throwIfStopped();
      for (const row of packer.add(id, this.setup.names[domain]!, encodeDocument(tokenizer, id, text))) {
        await rows.add(row);
        count++;
      }
    }
    const ends = packer.finish();
    for (const row of ends.rows) await rows.add(row);
    await rows.flush();
    await spool.drop(shard);
    return { rows: count + ends.rows.length, droppedTokens: ends.droppedTokens };
  }

  /** Second step: writes the shard's files. If that fails, nothing of them is left. */
  async write(shard: number, firstRow: number): Promise<WrittenShard> {
    const rows = this.rowsOf(shard);
    const writer = new ShardWriter(this.target, shardName(shard), this.format, firstRow);
    try {
      for await (const row of rows.read()) {
        this.throwIfStopped();
        await writer.add(row);
      }
      const files = await writer.finish();
      await rows.remove();
      return { shard: files, domainRows: [...writer.domainRows] };
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  private rowsOf(shard: number): RowFile {
    return new RowFile(join(this.setup.directory, `${shard}.rows`), this.setup.sequenceLength);
  }

  private throwIfStopped(): void {
    if (Atomics.load(this.setup.stop, 0) !== 0) throw new InterruptedError(STOPPED);
  }
}

/** The start of the names of a shard's files. */
export const shardName = (shard: number) => `shards/${String(shard).padStart(5, '0')}`;

export const STOPPED =
  'the preparation of the corpus stopped; the same command goes on after the shards that are written.';

function encodeDocument(tokenizer: Tokenizer, id: string, text: string): number[] {
  try {
    return tokenizer.encode(text);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`document ${id}: ${error.message}`);
    throw error;
  }
}
