/**
 * Finds documents whose text came before. Documents are dealt to shards by a hash of their text, so equal ones are always
 * in one shard, and memory is that of one shard's hashes, however large the corpus.
 */
import { DigestSet } from './digest-set.ts';
import type { Spool } from './spool.ts';

/** What is left of the spooled documents. */
export interface Kept {
  /** Documents of each input file. */
  documents: number[];
  /** Numbers of the domains that have documents. */
  domains: Set<number>;
  duplicates: number;
}

/** 1 for each of a shard's documents that is the first with its text, 0 for the others, in the order of the spool. */
export async function firstOccurrences(
  spool: Spool,
  shard: number,
  onFirst?: (file: number, domain: number) => void,
): Promise<Uint8Array> {
  const count = spool.counts[shard]!;
  const seen = new DigestSet(2 * count + 1);
  const first = new Uint8Array(count);
  let at = 0;
  for await (const { digest, file, domain } of spool.readMarks(shard)) {
    if (seen.add(digest)) {
      first[at] = 1;
      onFirst?.(file, domain);
    }
    at++;
  }
  return first;
}

/** Counts what is kept, over all shards. */
export async function countKept(spool: Spool, files: number): Promise<Kept> {
  const kept: Kept = { documents: new Array<number>(files).fill(0), domains: new Set(), duplicates: 0 };
  for (const [shard, count] of spool.counts.entries()) {
    let unique = 0;
    await firstOccurrences(spool, shard, (file, domain) => {
      kept.documents[file]!++;
      kept.domains.add(domain);
      unique++;
    });
    kept.duplicates += count - unique;
  }
  return kept;
}
