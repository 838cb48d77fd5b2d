/** The accounting of operations and dollars, against published figures, recorded runs and hand calculation. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { costThroughStage, estimateCost, idleUsdPerMonth, pricePlan } from '../../core/cost/estimate.ts';
import type { Timing } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { getJson } from '../../core/storage/index.ts';
import { TinyRun, tinyConfig } from '../containers/support.ts';

const example = (name: string): RunConfig =>
  parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);

afterEach(() => vi.restoreAllMocks());

describe('the published figures (arXiv 2406.06046, table 1)', () => {
  it('410M: pretraining costs 6.35e19', () => {
    expect(estimateCost(example('paper-410m')).flops.pretrain / 6.35e19).toBeCloseTo(1, 2);
  });

  // The paper's breakdown at 1B (4.2 % of the total for probing) is met by an eighth of the 80,000 probes a stage that
  // it describes, which is what one of the eight processes of the published code makes; see docs/results.md.
  it('1B: ten thousand probes a stage are about 4.2 % of the total', () => {
    const config = example('paper-1b');
    const { flops } = estimateCost({ ...config, probe: { ...config.probe, documents: 10_000 } });
    const total = flops.pretrain + flops.probe + flops.fit + flops.score;
    expect(flops.probe / total / 0.042).toBeGreaterThan(0.75);
    expect(flops.probe / total / 0.042).toBeLessThan(1.1);
  });
});

describe.each([
  ['influence, exact', { probe: { method: 'exact' } }],
  ['influence, lookahead', { probe: { method: 'lookahead', lookahead: { steps: 4, batchRows: 8 } } }],
  ['influence, exact and decayed', { probe: { method: 'exact', checkpoint: 'decayed' } }],
  ['perplexity', { selection: { method: 'perplexity' } }],
] as const)('%s', (_, over: Record<string, Record<string, unknown>>) => {
  it('costs what its jobs count, to a tenth', async () => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { probe, selection } = over;
    const config = tinyConfig({
      probe: { documents: 12, jobs: 2, ...probe },
      selection: { fraction: 0.3, ...selection },
    });
    const tiny = await TinyRun.create(config);
    try {
      await tiny.prepare();
      for (const stage of [0, 1]) await tiny.stage(stage);
      const recorded = { pretrain: 0, control: 0, probe: 0, fit: 0, score: 0 };
      for (const stage of [0, 1])
        for (const key of await tiny.store.list(`${stageLayout(stage).root}/timings/`)) {
          const { job, flops } = await getJson<Timing>(tiny.store, key);
          if (job === 'pretrain-main') recorded.pretrain += flops;
          if (job === 'pretrain-control') recorded.control += flops;
          if (/probe/.test(job)) recorded.probe += flops;
          if (job === 'fit-influence') recorded.fit += flops;
          if (/^score-/.test(job)) recorded.score += flops;
        }
      const estimated = estimateCost(config);
      const plan = await tiny.plan(1);
      const scored = plan.poolRows / estimated.scoredRows; // the pool is larger than the least that it must be
      for (const part of ['pretrain', 'control'] as const)
        expect(recorded[part] / estimated.flops[part], part).toBeGreaterThan(0.9);
      // Of the real vocabulary, padded, and of passages of a length that the estimate does not know.
      expect(recorded.pretrain / estimated.flops.pretrain).toBeLessThan(1.4);
      const ratio = recorded.pretrain / estimated.flops.pretrain;
      if (estimated.flops.score > 0) expect(recorded.score / scored / estimated.flops.score / ratio).toBeCloseTo(1, 0);
      if (estimated.flops.probe > 0) {
        expect(recorded.probe / estimated.flops.probe / ratio).toBeGreaterThan(0.4);
        expect(recorded.probe / estimated.flops.probe / ratio).toBeLessThan(1.5);
      }
    } finally {
      await tiny.remove();
    }
  });
});

describe('dollars', () => {
  it('grow with the stages, and end at the price of the plan', () => {
    const config = example('paper-410m');
    const through = Array.from({ length: 5 }, (_, stage) => costThroughStage(config, stage));
    for (let stage = 1; stage < 5; stage++) expect(through[stage]).toBeGreaterThan(through[stage - 1]!);
    expect(through[4]).toBeCloseTo(pricePlan(config).instances[0]!.onDemandUsd, 6);
  });

  it('of a small run are those of starting its jobs, not of its operations', () => {
    const { instances, jobs } = pricePlan(example('smoke'));
    expect(instances[0]!.hours).toBeGreaterThan(jobs / 60);
    expect(instances[0]!.onDemandUsd).toBeLessThan(2);
  });

  it('of idling are those of the network', () => {
    expect(idleUsdPerMonth('nat')).toBeCloseTo(730 * (0.045 + 0.005) + 0.8, 6);
    expect(idleUsdPerMonth('endpoints')).toBeCloseTo(730 * 12 * 0.01 + 0.8, 6);
  });
});
