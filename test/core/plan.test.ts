import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { controlRows, mostLabels, probeOrder, randomRows, splitHoldOut } from '../../core/plan/hold-out.ts';
import {
  dealPools,
  fractionOf,
  planStage,
  probeItems,
  rowRanges,
  sampleRows,
  scoredRanges,
  scoreItems,
} from '../../core/plan/stage-plan.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';

it('a fraction of rows loses none to rounding', () => {
  for (let percent = 1; percent <= 100; percent++) {
    expect(fractionOf(100, percent / 100)).toBe(percent);
    expect(fractionOf(1e9, percent / 100)).toBe(1e7 * percent);
    expect(fractionOf(99, percent / 100)).toBe(Math.floor((99 * percent) / 100));
  }
});

const config = (over: object = {}): RunConfig =>
  parseConfig(
    { corpus: { input: ['a'] }, reference: { input: 'r' }, heldOut: { input: 'h' }, ...over },
    'test configuration',
  );

/** An index with the given rows a shard, of as many domains; only what the planner reads. */
function corpusOf(rows: number[], domains = 1): CorpusIndex {
  let firstRow = 0;
  const shards = rows.map((count) => {
    const shard = { firstRow, rows: count };
    firstRow += count;
    return shard;
  });
  const each = Array.from({ length: domains }, (_, i) => ({ name: `${i}`, rows: Math.ceil(firstRow / domains) }));
  return { shards, rows: firstRow, domains: each } as unknown as CorpusIndex;
}

const PREPARED = { corpus: { prepared: 'c' } };

const manyShards = (shards: number, seed?: number): CorpusIndex => ({ ...corpusOf(new Array(shards).fill(10)), seed });

function messageOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('pools', () => {
  it('share no shard and use every shard, for any number of stages and shards', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 300 }),
        fc.boolean(),
        (stages, extra, again) => {
          const shards = stages + 1 + extra;
          const pools = dealPools(config({ pretrain: { stages }, ...(again && PREPARED) }), manyShards(shards));
          const all = [...pools.holdOut, ...pools.stages.flat()];
          expect([...all].sort((a, b) => a - b)).toEqual(Array.from({ length: shards }, (_, i) => i));
          expect(pools.holdOut.length).toBeGreaterThan(0);
          for (const pool of pools.stages) expect(pool.length).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('names the field when there are too few shards', () => {
    expect(() => dealPools(config({ pretrain: { stages: 4 } }), manyShards(4))).toThrow(/corpus\.shards: 4 shards/);
  });

  it("of a corpus prepared beforehand are dealt anew by a seed that is not the corpus's", () => {
    const dealt = (over: object, seed?: number) => dealPools(config(over), manyShards(40, seed));
    const own = dealt({ seed: 7 }, 7);
    expect(dealt({ seed: 7, ...PREPARED }, 7)).toEqual(own); // as if the run had prepared it
    const others = [8, 9].map((seed) => dealt({ seed, ...PREPARED }, 7));
    expect(others).toEqual([8, 9].map((seed) => dealt({ seed, ...PREPARED }, undefined)));
    const all = [own, ...others].map(({ holdOut, stages }) => [holdOut, ...stages].map(String));
    for (const pool of all[0]!.keys()) expect(new Set(all.map((pools) => pools[pool])).size).toBe(3);
    for (const { holdOut, stages } of others)
      for (const pool of [holdOut, ...stages]) expect(pool).toEqual([...pool].sort((a, b) => a - b));
  });
});

describe('stage plan', () => {
  const corpus = corpusOf(Array.from({ length: 20 }, () => 1000));

  it('makes the first stage random and gives the later ones a control of the same budget', () => {
    const first = planStage(config(), corpus, 0);
    expect(first).toMatchObject({ scored: false, arms: ['main'], selectedRows: first.consumedRows, probes: 0 });
    const second = planStage(config(), corpus, 1);
    expect(second).toMatchObject({ scored: true, arms: ['main', 'control'], firstStep: 100 });
    expect(second.selectedRows).toBe(Math.floor(0.2 * second.poolRows));
  });

  it('refuses a pool that is smaller than the stage consumes, and says what to set', () => {
    const attempt = () => planStage(config({ pretrain: { stepsPerStage: 500 } }), corpus, 1);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(/stage 1: .*consumes 4000 .*stepsPerStage to \d+ or less/s);
    expect(() => planStage(config({ pretrain: { stepsPerStage: 1000 } }), corpus, 0)).toThrow(/raise pools\.warmup/);
    // What it says serves every stage, whichever is refused first.
    for (const stage of [0, 1]) {
      const small = config({ pretrain: { stepsPerStage: 1000 } });
      const advised = /stepsPerStage to (\d+) or less/.exec(messageOf(() => planStage(small, corpus, stage)))![1]!;
      for (let k = 0; k < small.pretrain.stages; k++)
        planStage(config({ pretrain: { stepsPerStage: Number(advised) } }), corpus, k);
    }
  });

  it('says of a pool whose shards are all empty that shards are too many, and not that batches are too large', () => {
    const long = Array.from({ length: 24 }, (_, shard) => (shard === 23 ? 3000 : 0));
    expect(() => planStage(config(), corpusOf(long), 1)).toThrow(/^stage 1: .* no row in .*: lower corpus\.shards, as/);
  });

  it('refuses to score rows of which all are kept', () => {
    const keeping = (fraction: number, method = 'influence', stage = 1) =>
      planStage(config({ selection: { method, fraction } }), corpus, stage);
    expect(() => keeping(1)).toThrow(/^selection\.fraction: 1 keeps every row of a pool, .* influence would/);
    expect(keeping(0.9999).selectedRows).toBe(keeping(0.9999).poolRows - 1);
    expect(keeping(1, 'random').scored).toBe(false);
    expect(keeping(1, 'influence', 0).scored).toBe(false);
  });

  it('refuses a hold-out whose shards are all empty', () => {
    const few = Array.from({ length: 32 }, (_, shard) => (shard < 14 ? 3000 : 0));
    expect(() => planStage(config(), corpusOf(few), 0)).toThrow(/pools\.holdOut: .*lower corpus\.shards/);
  });

  it('refuses more probes than are sure to be free, before anything is trained', () => {
    const withProbes = (documents: number, method: string) =>
      planStage(config({ probe: { documents, method } }), corpusOf(new Array(20).fill(1000), 13), 1);
    // 3,000 rows of the hold-out, of which evaluations keep 24 of each domain at most
    expect(withProbes(3000 - 13 * 24, 'exact').probes).toBe(2688);
    expect(() => withProbes(2689, 'exact')).toThrow(ConfigError);
    expect(() => withProbes(2689, 'exact')).toThrow(
      /probe\.documents: 2689 probes .* has 3000\..* than 2688 are .*holdOut/,
    );
    expect(withProbes(2687, 'lookahead').probes).toBe(2687);
    expect(() => withProbes(2688, 'lookahead')).toThrow(
      /"lookahead" compares with one .* that is not probed.* 2687 are/,
    );
    expect(planStage(config({ probe: { documents: 9999 } }), corpus, 0).probes).toBe(0);
  });

  it('cuts scoring into items that cover the pool once, in order, whatever the number of jobs', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 6, maxLength: 30 }),
        fc.integer({ min: 1, max: 40 }),
        (rows, jobs) => {
          const index = corpusOf([...rows.map((count) => count + 5), 50, 50]);
          const plan = planStage(
            config({
              pretrain: { stepsPerStage: 1, batchRows: 1, microBatchRows: 1, stages: 2 },
              selection: { fraction: 0.9, method: 'dsir' },
              scoring: { jobs },
            }),
            index,
            1,
          );
          const items = scoreItems(plan);
          const covered: number[] = [];
          for (const item of items)
            for (const { shard, begin, end } of scoredRanges(plan, index, item)) {
              const entry = index.shards[shard]!;
              expect(begin).toBeGreaterThanOrEqual(entry.firstRow);
              expect(end).toBeLessThanOrEqual(entry.firstRow + entry.rows);
              for (let row = begin; row < end; row++) covered.push(row);
            }
          const pool = plan.poolShards.flatMap((shard) =>
            Array.from({ length: index.shards[shard]!.rows }, (_, i) => index.shards[shard]!.firstRow + i),
          );
          expect(covered).toEqual(pool);
          expect(items.length).toBe(Math.min(jobs, plan.poolRows));
        },
      ),
    );
  });

  it('cuts probing into slices that cover the probe order once', () => {
    const plan = planStage(config({ probe: { documents: 101, jobs: 7 } }), corpus, 1);
    const items = probeItems(plan);
    expect(items).toHaveLength(7);
    expect(items.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i))).toEqual(
      Array.from({ length: 101 }, (_, i) => i),
    );
  });
});

describe('hold-out', () => {
  const rows = Array.from({ length: 300 }, (_, i) => 1000 + i);
  const domains = Uint16Array.from(rows, (row) => row % 3);

  it('keeps evaluation and probing apart and loses no row', () => {
    const { evaluation, probeable } = splitHoldOut(rows, domains, 20, 7);
    const evaluated = [...evaluation.values()].flat();
    expect([...evaluated, ...probeable].sort((a, b) => a - b)).toEqual(rows);
    for (const [domain, taken] of evaluation) {
      expect(taken).toHaveLength(20);
      for (const row of taken) expect(row % 3).toBe(domain);
    }
  });

  it('takes of each domain the first rows in the seeded order, and no more than a third of it', () => {
    const order = permutation(rows.length, new CounterRandom(7, STREAM.probeSample, 0));
    const uneven = Uint16Array.from(rows, (_, i) => (i < 5 ? 9 : i % 2)); // five rows, and some 150 of each other domain
    const { evaluation } = splitHoldOut(rows, uneven, 20, 7);
    for (const [domain, count] of [
      [9, 2],
      [0, 20],
      [1, 20],
    ] as const) {
      const first = Array.from(order)
        .filter((i) => uneven[i] === domain)
        .slice(0, count);
      expect(evaluation.get(domain)).toEqual(first.map((i) => rows[i]!).sort((a, b) => a - b));
    }
  });

  it('probes another sample at each stage, the same one in every worker', () => {
    const { probeable } = splitHoldOut(rows, domains, 20, 7);
    const first = probeOrder(probeable, 50, 7, 1);
    expect(probeOrder(probeable, 50, 7, 1)).toEqual(first);
    expect(probeOrder(probeable, 50, 7, 2)).not.toEqual(first);
    expect(new Set(first).size).toBe(50);
  });

  it('has as many rows to label as the plan counts on, whatever their domains', () => {
    const assigned = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 120 });
    const others = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 7, maxLength: 7 }); // of pools
    fc.assert(
      fc.property(assigned, others, fc.integer({ min: 1, max: 30 }), (domains, elsewhere, rowsPerDomain) => {
        const rows = domains.map((_, i) => i);
        const { probeable } = splitHoldOut(rows, Uint16Array.from(domains), rowsPerDomain, 7);
        const corpus = elsewhere.map((count, i) => ({
          name: `${i}`,
          rows: count + domains.filter((domain) => domain === i).length,
        }));
        const most = mostLabels(rows.length, corpus, { rowsPerDomain, control: false });
        expect(most).toBeLessThanOrEqual(probeable.length);
        expect(most).toBeGreaterThanOrEqual(Math.floor((2 * (rows.length - 7)) / 3));
        expect(mostLabels(rows.length, corpus, { rowsPerDomain, control: true })).toBe(Math.max(0, most - 1));
      }),
    );
  });

  it('gives the control copy random rows that are not probed, and none of those that are', () => {
    const { probeable } = splitHoldOut(rows, domains, 20, 7); // 240 rows
    const control = controlRows(probeable, 200, 384, 7, 1);
    expect(control).toHaveLength(40);
    const all = [...probeOrder(probeable, 200, 7, 1), ...control];
    expect(all.sort((a, b) => a - b)).toEqual([...probeable]);
    expect(controlRows(probeable, 200, 8, 7, 1)).toEqual(control.slice(0, 8));
    expect(control.slice(0, 8)).not.toEqual(control.slice(0, 8).sort((a, b) => a - b));
    const drawn = [randomRows(probeable, 8, 7, 1), randomRows(probeable, 8, 7, 2), randomRows(probeable, 8, 6, 1)];
    expect(new Set(drawn.map(String)).size).toBe(3); // others for each stage and seed
    expect(() => controlRows(probeable, 240, 384, 7, 1)).toThrow(ConfigError);
    expect(() => controlRows(probeable, 240, 384, 7, 1)).toThrow(
      /probe\.documents: 240 probes .*"lookahead".*pools\.holdOut/,
    );
  });

  it('names the field when the hold-out is too small', () => {
    expect(() => probeOrder([1, 2], 3, 1, 1)).toThrow(/probe\.documents: 3 probes .* 2 are free/);
  });
});

describe('training order', () => {
  it('uses no row twice', () => {
    const selected = Array.from({ length: 100 }, (_, i) => 3 * i);
    const order = trainingOrder(selected, 80, 5, 2);
    expect(new Set(order).size).toBe(80);
    expect(order.every((row) => selected.includes(row))).toBe(true);
    expect(order).not.toEqual(trainingOrder(selected, 80, 6, 2));
    expect(order).not.toEqual(trainingOrder(selected, 80, 5, 3));
  });
});

describe('a sample of rows', () => {
  it('has distinct rows of the ranges, ascending, whatever their order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 0, max: 1000 }),
        (shardRows, wanted, seed) => {
          const corpus = corpusOf(shardRows);
          const shards = shardRows.map((_, shard) => shard).filter((shard) => shard % 2 === seed % 2);
          const random = (stream: number) => new CounterRandom(seed, stream);
          const order = permutation(shards.length, random(STREAM.trainingOrder));
          const ranges = rowRanges(
            corpus,
            Array.from(order, (i) => shards[i]!),
          );
          const all = ranges.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i));
          const rows = sampleRows(ranges, wanted, random(STREAM.diagnostics));
          expect(rows).toHaveLength(Math.min(wanted, all.length));
          expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b));
          for (const row of rows) expect(all).toContain(row);
        },
      ),
    );
  });
});
