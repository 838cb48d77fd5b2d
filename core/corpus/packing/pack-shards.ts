/** Second pass of a preparation: documents become rows and files, several shards at a time. */
import { availableParallelism } from 'node:os';
import type { CorpusShard } from '../../formats.ts';
import type { ProgressReporter } from '../../progress.ts';
import type { Store } from '../../storage/index.ts';
import { type WorkerKind, WorkerPool } from '../../threads/worker-pool.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { MIXED_DOMAIN } from './pack.ts';
import { type PackedRows, type PackingSetup, ShardMaker, type WrittenShard } from './shard-maker.ts';
import { type Origin, recordShard, type ShardResult, writtenShards } from './shard-records.ts';
import type { Spool } from './spool.ts';

export interface PackOptions {
  spool: Spool;
  /** Where the spool's files are. */
  directory: string;
  /** For each shard, 0 for each document that is a near-duplicate of another. @default - none is */
  distinct?: readonly Uint8Array[];
  /** Names of the spool's domains, by their numbers there. */
  names: readonly string[];
  /** Numbers of the domains that still have documents once duplicates are removed. */
  used: ReadonlySet<number>;
  tokenizer: Tokenizer;
  /** The tokenizer's file, from which each thread makes its own tokenizer. */
  tokenizerBytes: Uint8Array;
  sequenceLength: number;
  /** @default - see {@link threadsFor} */
  workers?: number;
  /** With more than one worker, it must be a store that another thread can open by its URI alone. */
  target: Store;
  fingerprint: string;
  progress: ProgressReporter;
  signal?: AbortSignal;
}

/** The part of the index that packing decides. */
export interface PackedShards {
  dtype: 'uint16' | 'uint32';
  rows: number;
  droppedTokens: number;
  domains: { name: string; rows: number }[];
  shards: CorpusShard[];
}

/** What a thread is started with. */
export interface PackingThread {
  setup: PackingSetup;
  tokenizer: Uint8Array;
  /** Id of the token that ends a document. */
  endOfText: number;
  target: string;
}

export type PackingRequest =
  | { step: 'pack'; shard: number; distinct?: Uint8Array }
  | { step: 'write'; shard: number; firstRow: number };

/** The result of either step; a thread's first answer says that it is ready. */
export type PackingResult = PackedRows | WrittenShard | 'ready';

const PACKING_WORKER: WorkerKind = {
  source: new URL('./packing-worker.ts', import.meta.url).href,
  bundled: 'packing-worker',
  called: 'packing thread',
  remedy: 'The same command resumes.',
};

/** Each thread needs memory, and the documents are read by a single one, so more threads would gain little. */
const MOST_THREADS = 16;

/** How much text is worth a thread: starting one takes only part of the time in which it packs this much. */
const THREAD_BYTES = 16 << 20;

/** What makes shards: in this thread, or in one of a pool. */
type Maker = Pick<ShardMaker, 'pack' | 'write'>;

/**
 * Packs and writes the shards that no earlier attempt has written. A shard's bytes do not depend on what writes it, or
 * when.
 *
 * @throws InterruptedError when the signal is aborted; the shards that are written are kept.
 */
export async function packShards(options: PackOptions): Promise<PackedShards> {
  const { spool, directory, names, used, tokenizer, sequenceLength, target, progress, signal } = options;
  const { counts } = spool;
  const domains = [...new Set([...names.filter((_, number) => used.has(number)), MIXED_DOMAIN])].sort();
  const idBytes = tokenizer.vocabularySize <= 2 ** 16 ? 2 : 4;
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const setup: PackingSetup = { directory, counts, names, domains, sequenceLength, idBytes, stop };
  const origin: Origin = { fingerprint: options.fingerprint, tokenizer: tokenizer.sha256 };

  const end = () => {
    Atomics.store(stop, 0, 1);
  };
  signal?.addEventListener('abort', end);
  if (signal?.aborted) end();
  let pool: PackingPool | undefined;
  try {
    const results = await writtenShards(target, origin);
    const report = () =>
      progress({ step: 'Pack the shards', done: results.size, total: counts.length, unit: 'shards' });
    report();
    const workers = Math.min(options.workers ?? threadsFor(spool), counts.length - results.size);
    if (workers > 1) pool = await startPool(workers, setup, options);
    const makers = pool
      ? Array.from({ length: workers }, (_, thread) => makerIn(pool!, thread))
      : [new ShardMaker(setup, tokenizer, target)];
    await makeShards(makers, options, results, end, async (shard, result) => {
      await recordShard(target, origin, shard, result);
      results.set(shard, result);
      report();
    });
    const shards = counts.map((_, shard) => results.get(shard)!);
    return { dtype: idBytes === 2 ? 'uint16' : 'uint32', ...summed(shards, domains) };
  } finally {
    signal?.removeEventListener('abort', end);
    await pool?.close();
  }
}

/** Has each maker take the next shard until there is none left. The first error ends the others' work and is thrown. */
async function makeShards(
  makers: readonly Maker[],
  { spool, distinct }: PackOptions,
  written: ReadonlyMap<number, ShardResult>,
  end: () => void,
  onShard: (shard: number, result: ShardResult) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  let firstRow = Promise.resolve(0);
  /**
   * The number of a shard's first row, once all shards before it are packed; to be called in the order of the shards.
   */
  const firstRowOf = (packed: Promise<{ rows: number }>): Promise<number> => {
    const first = firstRow;
    firstRow = Promise.all([first, packed]).then(([row, { rows }]) => row + rows);
    firstRow.catch(() => {}); // whoever awaits it gets the error
    return first;
  };
  const work = async (maker: Maker) => {
    while (failures.length === 0 && next < spool.counts.length) {
      const shard = next++;
      const known = written.get(shard);
      if (known) {
        firstRowOf(Promise.resolve(known.shard));
        continue;
      }
      const packed = maker.pack(shard, distinct?.[shard]);
      const first = firstRowOf(packed);
      const { droppedTokens } = await packed;
      await onShard(shard, { ...(await maker.write(shard, await first)), droppedTokens });
    }
  };
  const fail = (error: unknown) => {
    failures.push(error);
    end();
  };
  await Promise.all(makers.map((maker) => work(maker).catch(fail)));
  if (failures.length > 0) throw failures[0];
}

/** One a core, but no more than there is text for. */
function threadsFor({ sizes }: Spool): number {
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return Math.min(availableParallelism(), MOST_THREADS, Math.ceil(bytes / THREAD_BYTES));
}

type PackingPool = WorkerPool<PackingRequest, PackingResult>;

function startPool(workers: number, setup: PackingSetup, options: PackOptions): Promise<PackingPool> {
  const { tokenizer, tokenizerBytes, target } = options;
  const thread: PackingThread = {
    setup,
    tokenizer: tokenizerBytes,
    endOfText: tokenizer.endOfText,
    target: target.uri,
  };
  return WorkerPool.start(PACKING_WORKER, new Array(workers).fill(thread));
}

function makerIn(pool: PackingPool, thread: number): Maker {
  return {
    pack: (shard, distinct) => pool.ask(thread, { step: 'pack', shard, distinct }) as Promise<PackedRows>,
    write: (shard, firstRow) => pool.ask(thread, { step: 'write', shard, firstRow }) as Promise<WrittenShard>,
  };
}

function summed(results: readonly ShardResult[], domains: readonly string[]): Omit<PackedShards, 'dtype'> {
  const domainRows = new Map(domains.map((name) => [name, 0]));
  for (const [name, rows] of results.flatMap((result) => result.domainRows))
    domainRows.set(name, domainRows.get(name)! + rows);
  return {
    rows: results.reduce((sum, { shard }) => sum + shard.rows, 0),
    droppedTokens: results.reduce((sum, result) => sum + result.droppedTokens, 0),
    domains: Array.from(domainRows, ([name, rows]) => ({ name, rows })),
    shards: results.map(({ shard }) => shard),
  };
}
