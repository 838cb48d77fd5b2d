/** A candidate pool in memory, scored by any number of jobs, and the selection that a full sort gives. */
import type { RowRange } from '../../core/formats.ts';
import { type KeyRecipe, keyFunction } from '../../core/selection/keys.ts';
import { findCut, openScores, type SelectedRows, selectedRows } from '../../core/selection/merging/merge.ts';
import { writeScores } from '../../core/selection/scores.ts';
import { MemoryStore } from '../memory-store.ts';

export const DOMAINS = ['code', 'essays', 'letters'];
export const domainOf = (row: number) => (row * 7) % 3;

/** A corpus of `rows` rows in shards that begin at the given rows; empty shards are allowed. */
export function fakeCorpus(rows: number, shardStarts: number[] = [0]) {
  const store = new MemoryStore();
  const none = { key: '', bytes: 0, sha256: '' };
  const shards = shardStarts.map((firstRow, shard) => {
    const count = (shardStarts[shard + 1] ?? rows) - firstRow;
    const key = `domains-${shard}.u16`;
    store.files.set(key, new Uint8Array(Uint16Array.from({ length: count }, (_, i) => domainOf(firstRow + i)).buffer));
    return { firstRow, rows: count, tokens: none, text: none, domains: { ...none, key } };
  });
  return {
    store,
    index: { domains: DOMAINS.map((name) => ({ name, rows: 0 })), shards },
    texts: async (wanted: ArrayLike<number> | RowRange) =>
      Array.from(wanted as number[], (row) => `Text of row ${row}.`),
  };
}
export type FakeCorpus = ReturnType<typeof fakeCorpus>;

export const wholeShards = ({ index }: FakeCorpus): RowRange[] =>
  index.shards.map(({ firstRow, rows }, shard) => ({ shard, begin: firstRow, end: firstRow + rows }));

/** Scores the jobs' ranges, in any order of the jobs; `utilities` has one value for every row of the corpus. */
export async function score(corpus: FakeCorpus, jobs: RowRange[][], utilities: Float32Array, recipe: KeyRecipe) {
  const store = new MemoryStore();
  const prefixes = jobs.map((_, i) => `stages/1/scores/${String(i).padStart(5, '0')}`);
  for (const [i, ranges] of jobs.entries()) {
    const values = ranges.flatMap(({ begin, end }) => Array.from(utilities.subarray(begin, end)));
    await writeScores(store, prefixes[i]!, { ...recipe, ranges, utilities: Float32Array.from(values), corpus });
  }
  return { store, prefixes };
}

/** What the distributed merge selects. */
export async function merge(
  corpus: FakeCorpus,
  jobs: RowRange[][],
  utilities: Float32Array,
  k: number,
  recipe: KeyRecipe,
) {
  const { store, prefixes } = await score(corpus, jobs, utilities, recipe);
  const ranges = jobs.flat().sort((a, b) => a.begin - b.begin || a.end - b.end);
  const pool = await openScores(store, prefixes, recipe, ranges);
  const cut = await findCut(store, pool, k);
  return { cut, selected: await collect(selectedRows(store, pool, cut)), store, pool };
}

export async function collect(batches: AsyncIterable<SelectedRows> | Iterable<SelectedRows>) {
  const rows: number[] = [];
  const keys: number[] = [];
  const utilities: number[] = [];
  for await (const batch of batches) {
    rows.push(...batch.rows);
    keys.push(...batch.keys);
    utilities.push(...batch.utilities);
  }
  return { rows, keys, utilities };
}

/** The k rows with the largest keys, lowest rows first among equals, by sorting everything. */
export function naive(ranges: RowRange[], utilities: Float32Array, k: number, recipe: KeyRecipe): number[] {
  const keyOf = keyFunction(recipe);
  const rows = ranges.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i));
  return rows
    .map((row) => ({ row, key: keyOf(row, utilities[row]!) }))
    .sort((a, b) => b.key - a.key || a.row - b.row)
    .slice(0, k)
    .map(({ row }) => row)
    .sort((a, b) => a - b);
}

/** Cuts ranges at the given places and deals the parts to jobs. */
export function deal(
  ranges: RowRange[],
  jobs: number,
  jobOf: (part: number) => number,
  partRows: number,
): RowRange[][] {
  const dealt: RowRange[][] = Array.from({ length: jobs }, () => []);
  let part = 0;
  for (const { shard, begin, end } of ranges)
    for (let at = begin; at < end; at += partRows)
      dealt[jobOf(part++) % jobs]!.push({ shard, begin: at, end: Math.min(end, at + partRows) });
  return dealt;
}
