/** Selects a stage's rows, exactly and in bounded memory, and writes `selection.parquet` and `selection.json`. */
import type { RunConfig } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { Arm, Extremes, RowRange, SelectionSummary, StagePlan } from '../formats.ts';
import { armLayout, stageLayout } from '../layout.ts';
import { mapAhead } from '../parallel.ts';
import { ParquetFileWriter } from '../parquet.ts';
import { rowRanges } from '../plan/stage-plan.ts';
import { getRecordIfPresent, putFile, putJson, type Store } from '../storage/index.ts';
import { DomainCounts, type DomainSource, domainCounts, rangeDomains } from './domains.ts';
import type { KeyRecipe } from './keys.ts';
import type { Cut } from './merging/cut.ts';
import { binOf, gridEdges, gridOf, type Histogram } from './merging/histogram.ts';
import { findCut, jobRanges, openScores, type ScoredPool, type SelectedRows, selectedRows } from './merging/merge.ts';
import { inMemoryRows, selectInMemory } from './merging/one-process.ts';
import { type Method, methodTraits } from './methods.ts';
import { randomCut, randomRows } from './random.ts';
import type { ScorerRecord } from './scorer-record.ts';
import { readUtilities } from './scores.ts';

export interface SelectionRequest {
  /** The run's store. */
  store: Store;
  corpus: DomainSource;
  /** Recorded as how the rows were chosen. */
  method: Method;
  recipe: KeyRecipe;
  /** The candidate pool, and how many of its rows to select. */
  pool: RowRange[];
  selectedRows: number;
  /** The prefix of each scoring job's files; empty where the selection is random. */
  scorePrefixes: string[];
  /**
   * Whether all scores fit in this process's memory, at 4 bytes a row: this is quicker and picks the same rows. Keys
   * are then computed anew, so the scores may have been written for another temperature.
   */
  inMemory?: boolean;
  /** Keys of the two files that are written, the summary last. */
  selectionKey: string;
  summaryKey: string;
}

/**
 * The key recipe of a stage's rows.
 *
 * @param by what they are chosen by, which may be another method than the configured one. `selection.gumbel`, which
 *   may give the noise the sign of the authors' code, does not apply to DSIR, which is another paper's, nor to random
 *   rows, whose noise is always added.
 */
export function keyRecipe({ seed, selection }: RunConfig, stage: number, by: ChosenBy): KeyRecipe {
  const { score, hard } = methodTraits(by.method);
  const gumbel = score === undefined || score === 'dsir' ? 'exact' : selection.gumbel;
  return {
    noise: { seed, stage },
    temperature: by.temperature ?? selection.temperature,
    gumbel: hard ? 'none' : gumbel,
  };
}

type ChosenBy = Pick<ScorerRecord, 'method' | 'temperature'>;

/** What an arm's rows are chosen by. In a scored stage the scorer says; it may have given up the configured method. */
function chosenBy({ selection }: RunConfig, plan: StagePlan, arm: Arm, scorer?: ChosenBy): ChosenBy {
  if (arm === 'control' || plan.stage === 0) return { method: 'random' };
  if (!plan.scored) return { method: selection.method };
  return scorer ?? { method: 'random' };
}

/**
 * The selection that a stage's plan asks for: by score in the main arm of a scored stage, else random.
 *
 * @param scorer of a scored stage; it may have given up scores and chosen rows at random.
 */
export function selectionRequest(
  store: Store,
  corpus: DomainSource & { index: Parameters<typeof rowRanges>[0] },
  config: RunConfig,
  plan: StagePlan,
  arm: Arm,
  scorer?: ChosenBy,
): SelectionRequest {
  const files = armLayout(plan.stage, arm);
  const { score } = stageLayout(plan.stage);
  const by = chosenBy(config, plan, arm, scorer);
  const byScore = methodTraits(by.method).score !== undefined;
  const recipe = keyRecipe(config, plan.stage, by);
  return {
    store,
    corpus,
    method: by.method,
    recipe: { ...recipe, noise: { ...recipe.noise, arm } },
    pool: rowRanges(corpus.index, plan.poolShards),
    selectedRows: plan.selectedRows,
    scorePrefixes: byScore ? Array.from({ length: plan.scoreItems }, (_, i) => score(i)) : [],
    selectionKey: files.selection,
    summaryKey: files.selectionSummary,
  };
}

/**
 * Makes a selection, or returns the one that is there already. The bytes depend on the recipe and the utilities alone.
 *
 * @throws ConfigError when the pool has too few rows, RunError when scores are missing or do not match the pool.
 */
export async function selectRows(request: SelectionRequest): Promise<SelectionSummary> {
  const { store, recipe, method, summaryKey } = request;
  const done = await getRecordIfPresent<SelectionSummary>(store, summaryKey, 'mates-selection/1');
  if (done) return done;
  const chosen = request.scorePrefixes.length > 0 ? await byScore(request) : await atRandom(request);
  const written = await writeSelection(request, chosen);
  const summary: SelectionSummary = {
    format: 'mates-selection/1',
    method,
    poolRows: request.pool.reduce((sum, { begin, end }) => sum + end - begin, 0),
    selectedRows: request.selectedRows,
    temperature: recipe.temperature,
    gumbel: recipe.gumbel,
    seed: recipe.noise.seed,
    stage: recipe.noise.stage,
    ...chosen.cut,
    poolDomains: chosen.poolDomains,
    ...written,
    extremes: chosen.extremes,
  };
  await putJson(store, summaryKey, summary);
  return summary;
}

interface Chosen {
  cut: Cut;
  rows: AsyncIterable<SelectedRows> | Iterable<SelectedRows>;
  poolDomains: Record<string, number>;
  histogram?: Histogram;
  extremes?: Extremes;
}

async function byScore(request: SelectionRequest): Promise<Chosen> {
  const { store, corpus, recipe, pool, scorePrefixes } = request;
  const scores = await openScores(store, scorePrefixes, request.inMemory ? undefined : recipe, pool);
  const { cut, rows } = request.inMemory ? await cutInMemory(request, scores) : await cutByKeys(request, scores);
  const { histogram, extremes } = scores;
  // in the corpus's order of domains, whichever job came first
  const names = corpus.index.domains.map(({ name }) => name).filter((name) => name in scores.domains);
  const poolDomains = Object.fromEntries(names.map((name) => [name, scores.domains[name]!]));
  return { cut, rows, poolDomains, histogram, extremes };
}

async function cutByKeys({ store, selectedRows: k }: SelectionRequest, scores: ScoredPool) {
  const cut = await findCut(store, scores, k);
  return { cut, rows: selectedRows(store, scores, cut) };
}

async function cutInMemory({ store, selectedRows: k, recipe }: SelectionRequest, { jobs, rows }: ScoredPool) {
  const pieces = new Map(jobs.map((job) => [job, [] as { at: number; position: number; size: number }[]]));
  const scored = { ranges: [] as RowRange[], utilities: new Float32Array(rows) };
  let at = 0;
  for (const { job, range, position } of jobRanges(jobs)) {
    const size = range.end - range.begin;
    pieces.get(job)!.push({ at, position, size });
    scored.ranges.push(range);
    at += size;
  }
  for (const [{ prefix }, places] of pieces) {
    const utilities = await readUtilities(store, prefix);
    for (const { at, position, size } of places)
      scored.utilities.set(utilities.subarray(position, position + size), at);
  }
  const selection = selectInMemory(scored, k, recipe);
  return { cut: selection.cut, rows: inMemoryRows(selection, scored, recipe) };
}

async function atRandom({ corpus, recipe, pool, ...request }: SelectionRequest): Promise<Chosen> {
  const cut = randomCut(pool, request.selectedRows, recipe.noise);
  return { cut, rows: randomRows(pool, recipe.noise, cut), poolDomains: await domainCounts(corpus, pool) };
}

/** Encoded compactly: a fifth of C4's 217 million rows is 43 million. */
const COLUMNS = [
  { name: 'row', type: 'INT64', encoding: 'DELTA_BINARY_PACKED' },
  { name: 'domain', type: 'STRING' },
  { name: 'utility', type: 'FLOAT', encoding: 'BYTE_STREAM_SPLIT' },
  { name: 'key', type: 'INT64', encoding: 'DELTA_BINARY_PACKED' },
] as const;

/** Rows in a row group, independent of the ranges: the bytes must not depend on them. */
const GROUP_ROWS = 1 << 16;
/** Domain files read ahead. */
const READ_AHEAD = 3;

async function writeSelection(
  { store, corpus, selectedRows: wanted, selectionKey }: SelectionRequest,
  chosen: Chosen,
): Promise<Pick<SelectionSummary, 'selectedDomains' | 'histogram' | 'file'>> {
  const names = corpus.index.domains.map(({ name }) => name);
  const domainsOf = new DomainCounts(corpus.index);
  const histogram = chosen.histogram && selectionHistogram(chosen.histogram);
  const file = new SelectionFile();
  const withDomains = mapAhead(chosen.rows, READ_AHEAD, async (selected) => ({
    selected,
    domains: await rangeDomains(corpus, selected.range),
  }));
  const pieces = async function* () {
    for await (const { selected, domains } of withDomains) {
      const { range, rows, utilities, keys } = selected;
      for (let i = 0; i < rows.length; i++) {
        const domain = domains[rows[i]! - range.begin]!;
        domainsOf.add(domain);
        histogram?.add(utilities[i]!);
        const group = file.add(rows[i]!, names[domain]!, utilities[i]!, keys[i]!);
        if (group) yield group;
      }
    }
    if (file.rows !== wanted)
      throw new RunError(
        `${store.uri}/${selectionKey}: ${file.rows} rows were selected instead of ${wanted}, so the scores are damaged: ` +
          "delete the stage's scores and score it again.",
      );
    yield* file.finish();
  };
  const record = await putFile(store, selectionKey, pieces());
  return { selectedDomains: domainsOf.byName(), histogram: histogram?.counts, file: record };
}

function selectionHistogram({ min, max, counts }: Histogram) {
  const grid = gridOf(min, max);
  const selected = new Array<number>(grid.bins).fill(0);
  return {
    counts: { edges: gridEdges(grid), pool: counts, selected },
    add: (utility: number) => {
      if (Number.isFinite(utility)) selected[binOf(grid, utility)]!++;
    },
  };
}

/** selection.parquet, a row group at a time. */
class SelectionFile {
  rows = 0;
  private readonly file = new ParquetFileWriter(COLUMNS);
  private readonly row = new Float64Array(GROUP_ROWS);
  private readonly domain = new Array<string>(GROUP_ROWS);
  private readonly utility = new Float32Array(GROUP_ROWS);
  private readonly key = new Uint32Array(GROUP_ROWS);

  /** The encoded row group, when the row fills one. */
  add(row: number, domain: string, utility: number, key: number): Uint8Array | undefined {
    const i = this.rows % GROUP_ROWS;
    this.row[i] = row;
    this.domain[i] = domain;
    this.utility[i] = utility;
    this.key[i] = key;
    this.rows++;
    return i === GROUP_ROWS - 1 ? this.encode(GROUP_ROWS) : undefined;
  }

  *finish(): Generator<Uint8Array> {
    const rest = this.rows % GROUP_ROWS;
    if (rest > 0) yield this.encode(rest);
    yield this.file.finish();
  }

  private encode(count: number): Uint8Array {
    const data = [this.row, this.domain, this.utility, this.key] as const;
    return this.file.append(
      COLUMNS.map((column, i) => ({ ...column, data: data[i]!.slice(0, count) })),
      GROUP_ROWS,
    );
  }
}
