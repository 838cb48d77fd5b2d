/**
 * What a scoring job writes about its rows, under a prefix such as `stages/2/scores/00000`:
 *
 *   scores.f32   the utilities, float32, in row order
 *   keys.bin     one record of 12 bytes a row: ordered key (uint32), position among the job's rows (uint32), utility
 *                (float32); grouped by the key's upper 16 bits, the highest group first, by position within a group
 *   index.json   written last: its presence says that the others are whole
 *
 * All numbers are little-endian. Each group is a contiguous range of keys.bin, and the selected rows lie in a range
 * from its start, so the merge reads either from each job by range, a large one in pieces.
 */
import { bytesOf } from '../bytes.ts';
import type { Corpus } from '../corpus/corpus.ts';
import { RunError } from '../errors.ts';
import type { ExtremeDocument, Extremes, FileRecord, RowRange } from '../formats.ts';
import { gumbelOf, uniformOf } from '../random/philox.ts';
import { getRecord, putFile, type Store } from '../storage/index.ts';
import { type DomainSource, domainCounts, rangeDomains } from './domains.ts';
import { type KeyRecipe, keyOfGumbel, noiseSpan } from './keys.ts';
import { extremePositions } from './merging/extremes.ts';
import { type Histogram, histogramOf } from './merging/histogram.ts';
import { checkRanges, forEachSpan } from './merging/spans.ts';

/** Bytes of a record of keys.bin. */
export const RECORD_BYTES = 12;
/** A key's group is its upper 16 bits. */
export const GROUPS = 1 << 16;

/** Characters kept of an extreme document's text. */
const TEXT_CHARACTERS = 400;

export interface ScoreIndex {
  format: 'mates-scores/1';
  recipe: KeyRecipe;
  /** The job's rows: ascending, and no row twice. */
  ranges: RowRange[];
  rows: number;
  scores: FileRecord;
  keys: FileRecord;
  /** The occupied groups of keys.bin in file order, so descending, and the records in each. */
  groups: number[];
  counts: number[];
  /** Histogram of the finite utilities; absent when there are none. */
  histogram?: Histogram;
  /** Rows of each domain. */
  domains: Record<string, number>;
  extremes: Extremes;
}

export interface Scores extends KeyRecipe {
  ranges: RowRange[];
  /** One for each row, in the order of `ranges`: higher is better. */
  utilities: Float32Array;
  corpus: DomainSource & Pick<Corpus, 'texts'>;
}

export const scoresKey = (prefix: string) => `${prefix}/scores.f32`;
export const keysKey = (prefix: string) => `${prefix}/keys.bin`;
const indexKey = (prefix: string) => `${prefix}/index.json`;

/** The utilities of a job's rows, in the order of its ranges. */
export async function readUtilities(store: Store, prefix: string): Promise<Float32Array> {
  const bytes = await store.get(scoresKey(prefix));
  return new Float32Array(bytes.slice().buffer); // little-endian (core/bytes.ts)
}

/** Whether a job has written all its scores. */
export async function hasScores(store: Store, prefix: string): Promise<boolean> {
  return (await store.size(indexKey(prefix))) !== undefined;
}

/** @throws RunError when the job has not finished. */
export async function readScoreIndex(store: Store, prefix: string): Promise<ScoreIndex> {
  return getRecord<ScoreIndex>(store, indexKey(prefix), 'mates-scores/1', 'the scoring job did not finish');
}

/**
 * Writes one job's scores; the same scores give the same bytes.
 *
 * @throws RunError when a utility is not a number, naming the row, or when there is not exactly one for each row.
 */
export async function writeScores(store: Store, prefix: string, scores: Scores): Promise<void> {
  const { ranges, utilities, corpus, noise, temperature, gumbel } = scores;
  checkRanges(ranges, utilities.length);
  const recipe: KeyRecipe = { noise, temperature, gumbel };
  const { records, groups, counts } = keyRecords(ranges, utilities, recipe);
  const index: ScoreIndex = {
    format: 'mates-scores/1',
    recipe,
    ranges,
    rows: utilities.length,
    scores: await putFile(store, scoresKey(prefix), bytesOf(utilities)),
    keys: await putFile(store, keysKey(prefix), bytesOf(records)),
    groups,
    counts,
    histogram: histogramOf(utilities),
    domains: await domainCounts(corpus, ranges),
    extremes: await extremesOf(utilities, ranges, corpus),
  };
  await store.put(indexKey(prefix), `${JSON.stringify(index)}\n`); // one line: `groups` and `counts` have thousands
}

/**
 * The records of keys.bin: computes the keys, then sorts by group with a counting sort, which keeps positions in order.
 */
function keyRecords(ranges: RowRange[], utilities: Float32Array, recipe: KeyRecipe) {
  const noise = noiseSpan(recipe.noise);
  const keyOf = keyOfGumbel(recipe);
  const keys = new Uint32Array(utilities.length);
  const sizes = new Uint32Array(GROUPS);
  forEachSpan(ranges, (first, position, count) => {
    const taken = noise.fill(first, count);
    for (let i = 0; i < taken; i++) {
      const utility = utilities[position + i]!;
      if (Number.isNaN(utility))
        throw new RunError(
          `row ${first + i}: its score is not a number, so the row cannot be ranked. Either the model that scores has diverged ` +
            '(lower pretrain.learningRate, or influenceModel.learningRate of a bert), or the file that it was read from is damaged.',
        );
      const key = keyOf(utility, gumbelOf(uniformOf(noise.word0[i]!, noise.word1[i]!)));
      keys[position + i] = key;
      sizes[key >>> 16]!++;
    }
    return taken;
  });
  const groups: number[] = [];
  const counts: number[] = [];
  const next = new Uint32Array(GROUPS);
  let first = 0;
  for (let group = GROUPS - 1; group >= 0; group--) {
    if (sizes[group] === 0) continue;
    groups.push(group);
    counts.push(sizes[group]!);
    next[group] = first;
    first += sizes[group]!;
  }
  const records = new Uint32Array(3 * keys.length);
  const patterns = new Uint32Array(utilities.buffer, utilities.byteOffset, utilities.length);
  for (let i = 0; i < keys.length; i++) {
    const at = 3 * next[keys[i]! >>> 16]!++;
    records[at] = keys[i]!;
    records[at + 1] = i;
    records[at + 2] = patterns[i]!;
  }
  return { records, groups, counts };
}

async function extremesOf(utilities: Float32Array, ranges: RowRange[], corpus: Scores['corpus']): Promise<Extremes> {
  const { domains } = corpus.index;
  const positions = extremePositions(utilities);
  const documents = async (places: number[]): Promise<ExtremeDocument[]> => {
    const rows = places.map((position) => rowAt(ranges, position));
    const texts = await corpus.texts(rows.map(({ row }) => row));
    return Promise.all(
      rows.map(async ({ row, shard }, i) => ({
        row,
        utility: finite(utilities[places[i]!]!),
        domain: domains[(await rangeDomains(corpus, { shard, begin: row, end: row + 1 }))[0]!]!.name,
        text: Array.from(texts[i]!.slice(0, 2 * TEXT_CHARACTERS))
          .slice(0, TEXT_CHARACTERS)
          .join(''),
      })),
    );
  };
  return { highest: await documents(positions.highest), lowest: await documents(positions.lowest) };
}

function rowAt(ranges: RowRange[], position: number): { row: number; shard: number } {
  let left = position;
  for (const { shard, begin, end } of ranges) {
    if (left < end - begin) return { shard, row: begin + left };
    left -= end - begin;
  }
  throw new RangeError(`position ${position} is past the ranges' ${position - left} rows`);
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;
/** JSON has no infinity. */
export const finite = (value: number) => Math.max(-LARGEST_FLOAT32, Math.min(LARGEST_FLOAT32, value));
