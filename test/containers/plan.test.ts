/** What makes a comparison fair: nothing is trained on twice, and nothing that is measured on is trained on. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError } from '../../core/errors.ts';
import type { CorpusIndex, StagePlan } from '../../core/formats.ts';
import { probeOrder, splitHoldOut } from '../../core/plan/hold-out.ts';
import { planStage, probeItems, rowRanges, scoredRanges, scoreItems } from '../../core/plan/stage-plan.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { tinyConfig } from './support.ts';

/** As much of an index as the planner reads; shards may be empty. */
function corpusOf(rows: number[]): CorpusIndex {
  let firstRow = 0;
  const shards = rows.map((count) => {
    firstRow += count;
    return { firstRow: firstRow - count, rows: count };
  });
  return { shards, rows: firstRow, domains: [{ name: 'a', rows: firstRow }] } as unknown as CorpusIndex;
}

const cases = fc.record({
  shardRows: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 8, maxLength: 40 }),
  stages: fc.integer({ min: 1, max: 6 }),
  holdOut: fc.double({ min: 0.05, max: 0.45, noNaN: true }),
  warmup: fc.double({ min: 0.05, max: 0.45, noNaN: true }),
  fraction: fc.double({ min: 0.1, max: 1, noNaN: true }),
  steps: fc.integer({ min: 1, max: 4 }),
  seed: fc.integer({ min: 0, max: 2 ** 40 }),
  jobs: fc.integer({ min: 1, max: 9 }),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

function configOf({ stages, holdOut, warmup, fraction, steps, jobs, seed }: Case): RunConfig {
  const config = tinyConfig({
    pretrain: { stages, stepsPerStage: steps, batchRows: 2, microBatchRows: 1 },
    pools: { holdOut, warmup },
    selection: { fraction },
    scoring: { jobs },
    probe: { documents: 8, jobs },
  });
  return { ...config, seed };
}

/** The plans of all stages; undefined where the corpus is too small, which must be said as a ConfigError. */
function plansOf(config: RunConfig, corpus: CorpusIndex): StagePlan[] | undefined {
  try {
    return Array.from({ length: config.pretrain.stages }, (_, stage) => planStage(config, corpus, stage));
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return undefined;
  }
}

const rowsOf = (corpus: CorpusIndex, shards: number[]) =>
  rowRanges(corpus, shards).flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i));

describe('the plans of a run', () => {
  it('train on no row twice and never on the hold-out, which all stages share', () => {
    let feasible = 0;
    fc.assert(
      fc.property(cases, (drawn) => {
        const corpus = corpusOf(drawn.shardRows);
        const config = configOf(drawn);
        const plans = plansOf(config, corpus);
        if (!plans) return;
        feasible++;
        const holdOut = rowsOf(corpus, plans[0]!.holdOutShards);
        const trained: number[] = [];
        for (const plan of plans) {
          const pool = rowsOf(corpus, plan.poolShards);
          expect(plan.holdOutShards).toEqual(plans[0]!.holdOutShards);
          expect(pool).toHaveLength(plan.poolRows);
          // whichever rows of the pool are selected; here the last ones
          trained.push(...trainingOrder(pool.slice(-plan.selectedRows), plan.consumedRows, config.seed, plan.stage));
        }
        expect(trained).toHaveLength(plans.length * drawn.steps * 2);
        expect(new Set([...trained, ...holdOut]).size).toBe(trained.length + holdOut.length);
      }),
    );
    expect(feasible).toBeGreaterThan(20); // otherwise hardly anything was tested
  });

  it('join up: each stage begins at the step where the one before it ended, with a budget for both arms', () => {
    let feasible = 0;
    fc.assert(
      fc.property(cases, (drawn) => {
        const plans = plansOf(configOf(drawn), corpusOf(drawn.shardRows));
        if (!plans) return;
        feasible++;
        let step = 0;
        for (const [stage, plan] of plans.entries()) {
          expect(plan.stage).toBe(stage);
          expect(plan.firstStep).toBe(step);
          step += plan.steps;
          expect(plan.consumedRows).toBe(plan.steps * 2);
          expect(plan.consumedRows).toBeLessThanOrEqual(plan.selectedRows);
          expect(plan.selectedRows).toBeLessThanOrEqual(plan.poolRows);
          expect(plan.scored).toBe(stage > 0);
          expect(plan.arms).toEqual(stage > 0 ? ['main', 'control'] : ['main']);
        }
      }),
    );
    expect(feasible).toBeGreaterThan(20);
  });

  it('depend on neither the seed nor the number of jobs, but for how the work is cut', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 9 }), (drawn, jobs) => {
        const corpus = corpusOf(drawn.shardRows);
        const some = plansOf(configOf(drawn), corpus);
        const others = plansOf(configOf({ ...drawn, jobs, seed: drawn.seed + 1 }), corpus);
        const uncut = (plans?: StagePlan[]) => plans?.map((plan) => ({ ...plan, probeItems: 0, scoreItems: 0 }));
        expect(uncut(others)).toEqual(uncut(some));
        for (const plan of some ?? []) {
          const ranges = scoreItems(plan).flatMap((item) => scoredRanges(plan, corpus, item));
          const scored = ranges.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, i) => begin + i));
          expect(scored).toEqual(plan.scored ? rowsOf(corpus, plan.poolShards) : []);
          const probes = probeItems(plan).reduce((sum, { begin, end }) => sum + end - begin, 0);
          expect(probes).toBe(plan.probes);
        }
      }),
    );
  });

  it('have no model-aware stage and no control where everything is selected at random', () => {
    const corpus = corpusOf(Array.from({ length: 12 }, () => 100));
    const config = tinyConfig({ selection: { method: 'random' } });
    for (let stage = 0; stage < 2; stage++) {
      const plan = planStage(config, corpus, stage);
      expect(plan).toMatchObject({ scored: false, arms: ['main'], probes: 0, probeItems: 0, scoreItems: 0 });
      expect(plan.selectedRows).toBe(plan.consumedRows);
    }
  });
});

describe('the hold-out', () => {
  const holdOuts = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 200 });

  it('is evaluated and probed on different rows, at most a third of a domain for evaluation', () => {
    fc.assert(
      fc.property(holdOuts, fc.integer({ min: 1, max: 30 }), fc.nat(1000), (domains, perDomain, seed) => {
        const rows = domains.map((_, i) => 500 + 2 * i);
        const { evaluation, probeable } = splitHoldOut(rows, Uint16Array.from(domains), perDomain, seed);
        const evaluated = [...evaluation.values()].flat();
        expect([...evaluated, ...probeable].sort((a, b) => a - b)).toEqual(rows);
        for (const [domain, taken] of evaluation) {
          const size = domains.filter((one) => one === domain).length;
          expect(taken).toHaveLength(Math.min(perDomain, Math.ceil(size / 3)));
          for (const row of taken) expect(domains[(row - 500) / 2]).toBe(domain);
        }
        expect([...evaluation.keys()].sort()).toEqual([...new Set(domains)].sort());
      }),
    );
  });

  it('is probed on a sample that only grows with the number of probes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.nat(99), (a, b, seed) => {
        const rows = Array.from({ length: 60 }, (_, i) => 7 * i);
        const [few, many] = [Math.min(a, b), Math.max(a, b)];
        const order = probeOrder(rows, many, seed, 2);
        expect(probeOrder(rows, few, seed, 2)).toEqual(order.slice(0, few));
        expect(new Set(order).size).toBe(many);
        expect(order.every((row) => rows.includes(row))).toBe(true);
      }),
    );
  });
});
