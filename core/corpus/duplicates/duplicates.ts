/**
 * Finds documents whose text came before. Documents are dealt to shards by a hash of their text, so equal ones are always
 * in one shard, and memory is that of one shard's hashes, however large the corpus.
 */

import type { Spool } from '../packing/spool.ts';
import { DigestSet } from './digest-set.ts';

/** What is left of the spooled documents. */
export interface Kept {
  /** Documents of each input file. */
  documents: number[];
  /** Numbers of the domains that have documents. */
  domains: Set<number>;
  duplicates: number;
  /** Documents left out because their text is nearly that of another. */
  nearDuplicates: number;
}

/** 1 for each of a shard's documents that is the first with its text, 0 for the others, in the order of the spool. */
async function firstOccurrences(
  spool: Spool,
  shard: number,
  onFirst?: (at: number, file: number, domain: number) => void,
): Promise<Uint8Array> {
  const count = spool.counts[shard]!;
  const seen = new DigestSet(count);
  const first = new Uint8Array(count);
  let at = 0;
  for await (const { digest, file, domain } of spool.readMarks(shard)) {
    if (seen.add(digest)) {
      first[at] = 1;
      onFirst?.(at, file, domain);
    }
    at++;
  }
  return first;
}

/**
 * 1 for each of a shard's documents that goes into the corpus, in the order of the spool.
 *
 * @param distinct 0 for each of the shard's documents that is a near-duplicate of another; by default none is.
 */
export async function keptDocuments(spool: Spool, shard: number, distinct?: Uint8Array): Promise<Uint8Array> {
  const first = await firstOccurrences(spool, shard);
  return distinct ? first.map((is, at) => is & distinct[at]!) : first;
}

/** Counts what is kept over all shards. `distinct` has one array for each shard; see {@link keptDocuments}. */
export async function countKept(spool: Spool, files: number, distinct?: Uint8Array[]): Promise<Kept> {
  const documents = new Array<number>(files).fill(0);
  const kept: Kept = { documents, domains: new Set(), duplicates: 0, nearDuplicates: 0 };
  for (const [shard, count] of spool.counts.entries()) {
    let unique = 0;
    await firstOccurrences(spool, shard, (at, file, domain) => {
      unique++;
      if (distinct && distinct[shard]![at] === 0) {
        kept.nearDuplicates++;
        return;
      }
      documents[file]!++;
      kept.domains.add(domain);
    });
    kept.duplicates += count - unique;
  }
  return kept;
}
