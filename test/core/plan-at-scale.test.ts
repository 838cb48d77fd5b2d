/** The largest run that a configuration may ask for, 100 stages over 10,000 shards, of as many rows as C4 has: 217 million. */
import { beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { CorpusIndex, RowRange, StagePlan } from '../../core/formats.ts';
import { planStage, probeItems, rowRanges, scoredRanges, scoreItems } from '../../core/plan/stage-plan.ts';

const STAGES = 100;
const SHARDS = 10_000;

const config = parseConfig(
  {
    corpus: { input: ['s3://b/*'], shards: SHARDS, sequenceLength: 1024 },
    reference: { input: 'r' },
    heldOut: { input: 'h' },
    pretrain: { stages: STAGES, stepsPerStage: 500, batchRows: 512 },
    pools: { holdOut: 0.05, warmup: 0.05 },
    probe: { documents: 80_000, jobs: 64 },
    scoring: { jobs: 800 },
  },
  'test configuration',
);

/** Shards as a hash deals them: of unequal sizes, and a few of none. */
function unequalShards(): CorpusIndex {
  const shards: { firstRow: number; rows: number }[] = [];
  let firstRow = 0;
  for (let i = 0; i < SHARDS; i++) {
    const rows = i % 997 === 0 ? 0 : 21_000 + ((i * 7919) % 1446);
    shards.push({ firstRow, rows });
    firstRow += rows;
  }
  return { shards, rows: firstRow, domains: [{ name: 'a', rows: firstRow }] } as unknown as CorpusIndex;
}

const corpus = unequalShards();
let plans: StagePlan[];
beforeAll(() => {
  plans = Array.from({ length: STAGES }, (_, stage) => planStage(config, corpus, stage));
});

/** Joins neighbouring ranges, checking that each begins where the one before ends. */
function whole(ranges: readonly RowRange[]): { begin: number; end: number } {
  for (let i = 1; i < ranges.length; i++) expect(ranges[i]!.begin).toBe(ranges[i - 1]!.end);
  return { begin: ranges[0]!.begin, end: ranges.at(-1)!.end };
}

it('gives every row to one stage, or to the hold-out, which is the same at every stage', () => {
  expect(corpus.rows).toBeGreaterThan(216_000_000);
  const pools = plans.map(({ poolShards }) => whole(rowRanges(corpus, poolShards)));
  const holdOut = whole(rowRanges(corpus, plans[0]!.holdOutShards));
  const all = [...pools, holdOut];
  expect(all[0]!.begin).toBe(0);
  for (let i = 1; i < all.length; i++) expect(all[i]!.begin).toBe(all[i - 1]!.end);
  expect(holdOut.end).toBe(corpus.rows);
  for (const [stage, plan] of plans.entries()) {
    expect(plan.holdOutShards).toEqual(plans[0]!.holdOutShards);
    expect(plan.poolRows).toBe(pools[stage]!.end - pools[stage]!.begin);
    expect(plan.consumedRows).toBe(256_000);
  }
});

it('cuts every stage into items that cover its pool and its probes once', () => {
  for (const plan of plans.slice(1)) {
    const scored = scoreItems(plan).flatMap((item) => scoredRanges(plan, corpus, item));
    expect(whole(scored)).toEqual(whole(rowRanges(corpus, plan.poolShards)));
    const slices = probeItems(plan);
    expect(slices).toHaveLength(64);
    expect(slices.reduce((sum, { begin, end }) => sum + end - begin, 0)).toBe(80_000);
  }
});

it('writes plans whose size depends on shards and jobs, and not on rows', () => {
  const largest = Math.max(...plans.map((plan) => JSON.stringify([plan, scoreItems(plan), probeItems(plan)]).length));
  expect(largest).toBeLessThan(64 * 1024);
});
