/** Domains of rows, read a range at a time: those of a paper-scale corpus would fill a small function's memory. */
import { InputError } from '../errors.ts';
import type { CorpusIndex, RowRange } from '../formats.ts';
import { mapAhead } from '../parallel.ts';
import type { Store } from '../storage/index.ts';

/** Requests in flight at once, to hide their latency. */
const REQUESTS = 8;

/** The part of a prepared corpus that its rows' domains are read from; a `Corpus` is one. */
export interface DomainSource {
  store: Store;
  index: Pick<CorpusIndex, 'domains' | 'shards'>;
}

/** The index into the corpus's domains of each row of a range. */
export async function rangeDomains({ store, index }: DomainSource, range: RowRange): Promise<Uint16Array> {
  const { firstRow, domains } = index.shards[range.shard]!;
  const length = 2 * (range.end - range.begin);
  const bytes = await store.get(domains.key, { offset: 2 * (range.begin - firstRow), length });
  if (bytes.length !== length)
    throw new InputError(
      `${store.uri}/${domains.key} ends before row ${range.end}: it was changed or damaged; prepare the corpus again.`,
    );
  return new Uint16Array(bytes.slice().buffer); // copied, so that the array starts at a multiple of 2
}

/**
 * How many rows of each domain are in the ranges, in the corpus's order of domains; those without rows are left out.
 */
export async function domainCounts(source: DomainSource, ranges: RowRange[]): Promise<Record<string, number>> {
  const counts = new DomainCounts(source.index);
  for await (const domains of mapAhead(ranges, REQUESTS, (range) => rangeDomains(source, range)))
    for (const domain of domains) counts.add(domain);
  return counts.byName();
}

/** Counts by domain index. */
export class DomainCounts {
  private readonly counts: Float64Array;
  private readonly names: string[];

  constructor(index: Pick<CorpusIndex, 'domains'>) {
    this.names = index.domains.map(({ name }) => name);
    this.counts = new Float64Array(this.names.length);
  }

  add(domain: number): void {
    this.counts[domain]! += 1;
  }

  byName(): Record<string, number> {
    const entries = this.names.map((name, i) => [name, this.counts[i]!] as const);
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }
}
