/**
 * Plans a stage: which shards are its pool, how many rows are selected and consumed, and how probing and scoring are cut
 * into jobs. Pure: the same configuration and corpus always give the same plan.
 */
import { shardsFor } from '../config/ranges.ts';
import type { RunConfig } from '../config/schema.ts';
import { ConfigError } from '../errors.ts';
import type { CorpusIndex, RowRange, Slice, StagePlan } from '../formats.ts';
import { counted, plural } from '../plural.ts';
import { CounterRandom, distinctBelow, permutation, STREAM } from '../random/philox.ts';
import { MORE_ROWS, mostLabels } from './hold-out.ts';
import { stageWork } from './stage-work.ts';

/** The shards of the hold-out and of each stage's candidate pool; no shard, and so no document, is in two of them. */
export interface Pools {
  holdOut: number[];
  stages: number[][];
}

/**
 * Deals the shards: first the warm-up stage, then the later stages, last the hold-out. Documents were dealt to shards by
 * a hash with the corpus's seed, so any set of shards is a random sample of the corpus, and in a run of that seed they
 * keep their order. A run of another seed shuffles them, so that seeds differ in their pools on one prepared corpus, too.
 */
export function dealPools(config: RunConfig, { shards, seed }: Pick<CorpusIndex, 'shards' | 'seed'>): Pools {
  const { stages } = config.pretrain;
  const shardCount = shards.length;
  const { least, better } = shardsFor(stages);
  if (shardCount < least)
    throw new ConfigError(
      `corpus.shards: ${counted(shardCount, 'shard')} cannot give ${stages} disjoint ${plural(stages, 'stage pool')} and a hold-out; use at least ${least}, better ${better} ` +
        '(a prepared corpus has as many as mates prepare --shards says).',
    );
  const holdOutShards = clamp(Math.round(config.pools.holdOut * shardCount), 1, shardCount - stages);
  const dealt = shardCount - holdOutShards;
  const warmupShards =
    stages === 1 ? dealt : clamp(Math.round(config.pools.warmup * shardCount), 1, dealt - (stages - 1));
  const edges = [0, warmupShards];
  for (let k = 1; k < stages; k++) edges.push(warmupShards + Math.round(((dealt - warmupShards) * k) / (stages - 1)));
  const order = keepsOrder(config, { seed })
    ? range(0, shardCount)
    : [...permutation(shardCount, new CounterRandom(config.seed, STREAM.pools))];
  const hand = (begin: number, end: number) => order.slice(begin, end).sort((a, b) => a - b);
  return {
    holdOut: hand(dealt, shardCount),
    stages: Array.from({ length: stages }, (_, k) => hand(edges[k]!, edges[k + 1]!)),
  };
}

/** Whether the run takes the shards as the corpus has them: its seed dealt the documents. */
export const keepsOrder = ({ corpus, seed }: RunConfig, { seed: dealtBy }: Pick<CorpusIndex, 'seed'>): boolean =>
  corpus.prepared === undefined || seed === dealtBy;

/** A corpus of a few long documents may fill only a few of its shards. */
const FEWER_SHARDS = 'lower corpus.shards, as each document lies in a single shard, or add text.';
const EMPTY_HOLD_OUT = `pools.holdOut: the corpus has no row in the shards of the hold-out, so there is nothing to probe or measure on: ${FEWER_SHARDS}`;

/**
 * The plan of stage `stage`.
 *
 * @throws ConfigError when the pool cannot give what the stage consumes, naming the fields to change.
 */
export function planStage(config: RunConfig, corpus: CorpusIndex, stage: number): StagePlan {
  const pools = dealPools(config, corpus);
  const poolShards = pools.stages[stage]!;
  const poolRows = rowsOf(corpus, poolShards);
  const holdOutRows = rowsOf(corpus, pools.holdOut);
  if (holdOutRows === 0) throw new ConfigError(EMPTY_HOLD_OUT);
  const { stepsPerStage, batchRows } = config.pretrain;
  const consumedRows = stepsPerStage * batchRows;
  const { score, once, probes, preparesProbe, arms } = stageWork(config, stage);
  const scored = score !== undefined;
  const available = mostRows(config, stage, poolRows);
  const selectedRows = scored ? available : consumedRows;
  if (consumedRows > available) {
    const most = pools.stages.map((shards, k) => mostRows(config, k, rowsOf(corpus, shards)));
    throw new ConfigError(tooSmall(config, { stage, poolRows, scored, most }));
  }
  if (scored && selectedRows === poolRows) throw new ConfigError(keepsAll(config));
  const control = config.probe.method === 'lookahead';
  const most = mostLabels(holdOutRows, corpus.domains, { rowsPerDomain: config.evaluation.rowsPerDomain, control });
  if (probes > most) throw new ConfigError(tooManyProbes(probes, holdOutRows, most, control));
  return {
    format: 'mates-stage-plan/1',
    stage,
    scored,
    arms,
    poolShards,
    holdOutShards: pools.holdOut,
    poolRows,
    holdOutRows,
    selectedRows,
    consumedRows,
    steps: stepsPerStage,
    firstStep: stage * stepsPerStage,
    preparesProbe,
    scorerStage: once && scored ? 1 : stage,
    probes,
    probeItems: Math.min(config.probe.jobs, probes),
    scoreItems: scored ? Math.min(config.scoring.jobs, poolRows) : 0,
  };
}

/** The probing map's items: contiguous slices of the stage's probe order. */
export function probeItems(plan: StagePlan): Slice[] {
  return slices(plan.probes, plan.probeItems);
}

/** The scoring map's items: the pool's rows in equal parts. */
export function scoreItems(plan: StagePlan): Slice[] {
  return slices(plan.poolRows, plan.scoreItems);
}

/** The rows of a scoring item, as ranges that stay within a shard. */
export function scoredRanges(plan: StagePlan, corpus: CorpusIndex, item: Slice): RowRange[] {
  let first = 0; // position in the pool of the shard's first row
  return rowRanges(corpus, plan.poolShards).flatMap((whole) => {
    const offset = whole.begin - first;
    const begin = Math.max(whole.begin, item.begin + offset);
    const end = Math.min(whole.end, item.end + offset);
    first += whole.end - whole.begin;
    return begin < end ? [{ shard: whole.shard, begin, end }] : [];
  });
}

/** Whole shards as row ranges. */
export function rowRanges(corpus: CorpusIndex, shards: number[]): RowRange[] {
  return shards
    .map((shard) => ({ shard, entry: corpus.shards[shard]! }))
    .filter(({ entry }) => entry.rows > 0)
    .map(({ shard, entry }) => ({ shard, begin: entry.firstRow, end: entry.firstRow + entry.rows }));
}

/** Rows at distinct random places in the ranges, ascending; all rows when there are fewer than `wanted`. */
export function sampleRows(ranges: readonly RowRange[], wanted: number, random: CounterRandom): number[] {
  const count = ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const places = distinctBelow(count, wanted, random);
  const rows: number[] = [];
  let first = 0; // place of the range's first row
  for (const { begin, end } of ranges) {
    while (rows.length < places.length && places[rows.length]! < first + end - begin)
      rows.push(begin + places[rows.length]! - first);
    first += end - begin;
  }
  return rows.sort((a, b) => a - b);
}

/**
 * `rows * fraction`, rounded down. The small factor absorbs floating-point error: 0.29 * 100 is 28.999..., and must
 * give 29.
 */
export function fractionOf(rows: number, fraction: number): number {
  return Math.floor(rows * fraction * (1 + 4 * Number.EPSILON));
}

/** Rows that a stage may consume: what selection keeps of its pool or, where rows are not scored, the whole pool. */
function mostRows(config: RunConfig, stage: number, poolRows: number): number {
  return stageWork(config, stage).score === undefined ? poolRows : fractionOf(poolRows, config.selection.fraction);
}

/** @param most the rows that each stage may consume, so that the advice works for all stages. */
function tooSmall(
  { pretrain: { stepsPerStage, batchRows }, selection: { fraction } }: RunConfig,
  { stage, poolRows, scored, most }: { stage: number; poolRows: number; scored: boolean; most: number[] },
): string {
  if (poolRows === 0)
    return `stage ${stage}: the corpus has no row in the shards of the candidate pool: ${FEWER_SHARDS}`;
  const selected = scored ? `, of which selection.fraction ${fraction} keeps ${most[stage]}` : '';
  const steps = Math.floor(Math.min(...most) / batchRows);
  const fewer = steps > 0 ? `Set pretrain.stepsPerStage to ${steps} or less` : 'Lower pretrain.batchRows';
  return (
    `stage ${stage}: the candidate pool has ${counted(poolRows, 'row')}${selected}, but the stage consumes ${stepsPerStage * batchRows} ` +
    `(pretrain.stepsPerStage ${stepsPerStage} x pretrain.batchRows ${batchRows}) and no row is used twice. ` +
    `${fewer}, ${scored ? 'raise selection.fraction' : moreRows(stage, most.length)}, or add text to the corpus.`
  );
}

/** A single stage has all rows but the hold-out. */
const moreRows = (stage: number, stages: number) =>
  stages === 1 ? 'lower pools.holdOut' : `${stage === 0 ? 'raise' : 'lower'} pools.warmup`;

const keepsAll = ({ selection: { fraction, method } }: RunConfig) =>
  `selection.fraction: ${fraction} keeps every row of a pool, so that ${method} would score rows and choose none. ` +
  'Lower it, or set selection.method to "random".';

function tooManyProbes(probes: number, holdOutRows: number, most: number, control: boolean): string {
  const others = control ? ', and probe.method "lookahead" compares with one at least that is not probed' : '';
  return (
    `probe.documents: ${probes} probes need as many rows of the hold-out, which has ${holdOutRows}. Evaluations keep ` +
    `some${others}, so that no more than ${most} are sure to be free. ${MORE_ROWS}`
  );
}

function slices(total: number, parts: number): Slice[] {
  return Array.from({ length: parts }, (_, index) => ({
    index,
    begin: Math.floor((total * index) / parts),
    end: Math.floor((total * (index + 1)) / parts),
  }));
}

const rowsOf = (corpus: CorpusIndex, shards: number[]) =>
  shards.reduce((sum, shard) => sum + (corpus.shards[shard]?.rows ?? 0), 0);
const range = (begin: number, end: number) => Array.from({ length: end - begin }, (_, i) => begin + i);
const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
