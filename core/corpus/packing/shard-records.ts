/**
 * Records of the shards that are written, until `corpus.json` has them: a preparation that was stopped goes on from
 * there.
 */
import { mapParallel } from '../../parallel.ts';
import { firstDamaged, getJson, putJson, type Store } from '../../storage/index.ts';
import { type PackedRows, shardName, type WrittenShard } from './shard-maker.ts';

/** A shard's part of the index. */
export type ShardResult = WrittenShard & Pick<PackedRows, 'droppedTokens'>;

/** What a shard was made from; if that is the same, so are its bytes. */
export interface Origin {
  /** The corpus's: of its inputs and all settings. */
  fingerprint: string;
  /** SHA-256 of the tokenizer. */
  tokenizer: string;
}

/** `shards/<i>.partial.json`, which is written after the shard's other files. */
type ShardRecord = Origin & ShardResult;

const RECORD = /^shards\/(\d+)\.partial\.json$/;

/** Requests in flight at once, to hide their latency. */
const REQUESTS = 8;

/**
 * The shards that are written, by number. Records of another origin, and of shards of which a file is missing or cut off,
 * are removed, as their shards are about to be replaced.
 */
export async function writtenShards(store: Store, origin: Origin): Promise<Map<number, ShardResult>> {
  const written = new Map<number, ShardResult>();
  await mapParallel(await recordKeys(store), REQUESTS, async (key) => {
    const { fingerprint, tokenizer, ...result } = await getJson<ShardRecord>(store, key);
    const { tokens, text, domains } = result.shard;
    const isOurs = fingerprint === origin.fingerprint && tokenizer === origin.tokenizer;
    if (isOurs && (await firstDamaged(store, [tokens, text, domains])) === undefined)
      written.set(Number(RECORD.exec(key)![1]), result);
    else await store.delete(key);
  });
  return written;
}

export function recordShard(store: Store, origin: Origin, shard: number, result: ShardResult): Promise<void> {
  const record: ShardRecord = { ...origin, ...result };
  return putJson(store, `${shardName(shard)}.partial.json`, record);
}

/** Removes all records; call it when `corpus.json` is there. */
export async function removeRecords(store: Store): Promise<void> {
  await mapParallel(await recordKeys(store), REQUESTS, (key) => store.delete(key));
}

const recordKeys = async (store: Store) => (await store.list('shards/')).filter((key) => RECORD.test(key));
