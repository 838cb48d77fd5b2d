/**
 * Exact top-k over the scores of any number of jobs, without ever holding them all. The jobs' group counts add up to
 * those of the pool; they say which group holds the k-th largest key, and that group alone is read, in pieces, and
 * counted by the key's lower 16 bits. The selected rows then come from the start of each job's keys.bin.
 *
 * Memory: 4 MB while cutting; while listing, one job's selected records and 4 bytes for each of its rows, plus the
 * records of {@link READ_AHEAD} jobs to come.
 */
import { RunError } from '../../errors.ts';
import type { Extremes, RowRange } from '../../formats.ts';
import { mapAhead, mapParallel } from '../../parallel.ts';
import type { Store } from '../../storage/index.ts';
import type { KeyRecipe } from '../keys.ts';
import { GROUPS, keysKey, RECORD_BYTES, readScoreIndex, type ScoreIndex } from '../scores.ts';
import { type Cut, checkSize, criticalBin, cutter } from './cut.ts';
import { mergeExtremes } from './extremes.ts';
import { addHistograms, type Histogram } from './histogram.ts';

/** Requests in flight: enough to hide S3's latency of some 30 ms, few enough for a function's sockets and memory. */
const REQUESTS = 16;
const READ_AHEAD = 3;
/** Records read at a time when the critical group is counted: 1.5 MB. */
const PIECE_RECORDS = 1 << 17;

/** The jobs' indexes, as far as the merge needs them, and their sums. */
export interface ScoredPool {
  jobs: ScoredJob[];
  rows: number;
  /** Rows in each group of keys. */
  groups: Float64Array;
  domains: Record<string, number>;
  histogram?: Histogram;
  extremes: Extremes;
}

interface ScoredJob {
  prefix: string;
  ranges: RowRange[];
  rows: number;
  /** Occupied groups, descending, and the records in each. */
  groups: Uint16Array;
  counts: Uint32Array;
}

/** Selected rows of one range, ascending. */
export interface SelectedRows {
  range: RowRange;
  rows: Float64Array;
  utilities: Float32Array;
  keys: Uint32Array;
}

/**
 * Reads and adds up the indexes of all scoring jobs.
 *
 * @param recipe of the jobs' keys; absent when keys are not read but computed anew from the utilities.
 * @param pool the rows that should have been scored, as ascending ranges.
 * @throws RunError when a job has not finished or was scored for another selection, or when the jobs' rows are not the
 *   pool's.
 */
export async function openScores(
  store: Store,
  prefixes: string[],
  recipe: KeyRecipe | undefined,
  pool: RowRange[],
): Promise<ScoredPool> {
  const groups = new Float64Array(GROUPS);
  const domains = new Map<string, number>(); // a Map, as names may be those of an object's own members
  const histograms: Histogram[] = [];
  let extremes: Extremes = { highest: [], lowest: [] };
  const jobs = await mapParallel(prefixes, REQUESTS, async (prefix): Promise<ScoredJob> => {
    const index = await readScoreIndex(store, prefix);
    if (recipe) checkRecipe(index, recipe, `${store.uri}/${prefix}`);
    index.groups.forEach((group, i) => {
      groups[group]! += index.counts[i]!;
    });
    for (const [name, rows] of Object.entries(index.domains)) domains.set(name, (domains.get(name) ?? 0) + rows);
    if (index.histogram) histograms.push(index.histogram);
    extremes = mergeExtremes([extremes, index.extremes]);
    const { ranges, rows } = index;
    return { prefix, ranges, rows, groups: Uint16Array.from(index.groups), counts: Uint32Array.from(index.counts) };
  });
  checkPool(
    jobRanges(jobs).map(({ range }) => range),
    pool,
  );
  const rows = jobs.reduce((sum, job) => sum + job.rows, 0);
  return { jobs, rows, groups, domains: Object.fromEntries(domains), histogram: addHistograms(histograms), extremes };
}

/**
 * The exact cut after the `k` largest keys.
 *
 * @throws ConfigError when the pool has fewer than `k` rows.
 */
export async function findCut(store: Store, pool: ScoredPool, k: number): Promise<Cut> {
  checkSize(k, pool.rows);
  const { bin: group, above } = criticalBin(pool.groups, k);
  const low = new Float64Array(1 << 16);
  await mapParallel(pool.jobs, REQUESTS, async (job) => {
    const { first, end } = groupRecords(job, group);
    for (let at = first; at < end; at += PIECE_RECORDS) {
      const records = await readRecords(store, job, at, Math.min(end, at + PIECE_RECORDS));
      for (let i = 0; i < records.length; i += 3) low[records[i]! & 0xffff]! += 1;
    }
  });
  const critical = criticalBin(low, k - above);
  return { threshold: group * 0x1_0000 + critical.bin, tiesKept: k - above - critical.above };
}

/** The selected rows, in ascending order over all jobs, a range at a time; ranges without any are left out. */
export async function* selectedRows(store: Store, pool: ScoredPool, cut: Cut): AsyncGenerator<SelectedRows> {
  const isIn = cutter(cut);
  const order = jobRanges(pool.jobs);
  const lastUse = new Map(order.map(({ job }, i) => [job, i]));
  // `lastUse` has the jobs in the order in which they are first needed.
  const reads = mapAhead(lastUse.keys(), READ_AHEAD, (job) =>
    readRecords(store, job, 0, groupRecords(job, cut.threshold >>> 16).end),
  );
  // One job is open at a time, unless jobs were dealt ranges that alternate.
  const open = new Map<ScoredJob, { records: Uint32Array; places: Uint32Array }>();
  for (const [i, { job, range, position }] of order.entries()) {
    if (!open.has(job)) {
      const records = (await reads.next()).value as Uint32Array;
      open.set(job, { records, places: placesOf(records, job.rows, cut.threshold) });
    }
    const { records, places } = open.get(job)!;
    const selected = pick(records, places.subarray(position, position + range.end - range.begin), isIn, range);
    if (selected.rows.length > 0) yield selected;
    if (lastUse.get(job) === i) open.delete(job);
  }
}

/** Where each position's record is, plus one; 0 for positions whose key is below the threshold. */
function placesOf(records: Uint32Array, rows: number, threshold: number): Uint32Array {
  const places = new Uint32Array(rows);
  for (let i = 0; i < records.length; i += 3) if (records[i]! >= threshold) places[records[i + 1]!] = i / 3 + 1;
  return places;
}

function pick(
  records: Uint32Array,
  places: Uint32Array,
  isIn: (key: number) => boolean,
  range: RowRange,
): SelectedRows {
  const picked = new Uint32Array(places.length);
  let count = 0;
  const rows = new Float64Array(places.length);
  for (let i = 0; i < places.length; i++) {
    const record = places[i]! - 1;
    if (record < 0 || !isIn(records[3 * record]!)) continue;
    rows[count] = range.begin + i;
    picked[count++] = record;
  }
  const keys = new Uint32Array(count);
  const utilities = new Float32Array(count);
  const patterns = new Uint32Array(utilities.buffer);
  for (let i = 0; i < count; i++) {
    keys[i] = records[3 * picked[i]!]!;
    patterns[i] = records[3 * picked[i]! + 2]!;
  }
  return { range, rows: rows.slice(0, count), utilities, keys };
}

/** All jobs' ranges in ascending order of rows, each with the position of its first row in its job. */
export function jobRanges(jobs: ScoredJob[]): { job: ScoredJob; range: RowRange; position: number }[] {
  const all = jobs.flatMap((job) => {
    let position = 0;
    return job.ranges.map((range) => {
      const piece = { job, range, position };
      position += range.end - range.begin;
      return piece;
    });
  });
  return all.filter(({ range }) => range.begin < range.end).sort((a, b) => a.range.begin - b.range.begin);
}

function checkPool(scored: RowRange[], pool: RowRange[]): void {
  const [found, wanted] = [joined(scored), joined(pool)];
  const at = wanted.findIndex(({ begin, end }, i) => found[i]?.begin !== begin || found[i].end !== end);
  const odd = at >= 0 ? at : wanted.length;
  if (odd === found.length && odd === wanted.length) return;
  const describe = (range?: { begin: number; end: number }) => (range ? `rows ${range.begin} to ${range.end}` : 'none');
  throw new RunError(
    'the scored rows are not those of the candidate pool, each once: ' +
      `${describe(wanted[odd])} expected, ${describe(found[odd])} found. Delete the stage's scores and score it again.`,
  );
}

/** Ascending ranges, with those that touch joined. */
function joined(ranges: RowRange[]): { begin: number; end: number }[] {
  const result: { begin: number; end: number }[] = [];
  for (const { begin, end } of ranges) {
    const last = result.at(-1);
    if (begin === end) continue;
    if (last?.end === begin) last.end = end;
    else result.push({ begin, end });
  }
  return result;
}

/** Numbers of the first record of a group in a job's keys.bin and of the one after its last. */
function groupRecords(job: ScoredJob, group: number): { first: number; end: number } {
  let first = 0;
  for (let i = 0; i < job.groups.length && job.groups[i]! >= group; i++) {
    if (job.groups[i] === group) return { first, end: first + job.counts[i]! };
    first += job.counts[i]!;
  }
  return { first, end: first };
}

async function readRecords(store: Store, job: ScoredJob, first: number, end: number): Promise<Uint32Array> {
  const length = (end - first) * RECORD_BYTES;
  if (length === 0) return new Uint32Array(0);
  const bytes = await store.get(keysKey(job.prefix), { offset: first * RECORD_BYTES, length });
  if (bytes.length !== length)
    throw new RunError(
      `${store.uri}/${keysKey(job.prefix)} is shorter than its index says; delete ${job.prefix} and score it again.`,
    );
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, length / 4);
}

function checkRecipe(index: ScoreIndex, wanted: KeyRecipe, uri: string): void {
  const describe = ({ noise, temperature, gumbel }: KeyRecipe) =>
    `seed ${noise.seed}, stage ${noise.stage}, ${noise.arm ?? 'main'} arm, temperature ${temperature}, gumbel ${gumbel}`;
  if (describe(index.recipe) !== describe(wanted))
    throw new RunError(
      `${uri} was scored for ${describe(index.recipe)}, not for ${describe(wanted)}: delete it and score it again.`,
    );
}
