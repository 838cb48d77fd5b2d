import { describe, expect, it } from 'vitest';
import { costThroughStage } from '../../core/cost/price.ts';
import type { PassageStatistics } from '../../core/formats.ts';
import { armLayout, checkpointMark, PASSAGES_FILE, stageLayout } from '../../core/layout.ts';
import { planStage, probeItems, scoredRanges, scoreItems } from '../../core/plan/stage-plan.ts';
import { getJson, putJson, storeOpener } from '../../core/storage/index.ts';
import { corpusOf } from '../support.ts';
import { planOn, stagesConfig, temporaryLake } from './support.ts';

const lake = temporaryLake();

const config = (change: Record<string, unknown> = {}) =>
  stagesConfig({ influenceModel: { architecture: 'bert' }, scoring: { jobs: 4 }, ...change }); // scoring by a BERT costs something

const plan = (stage: number, maxCostUsd?: number, rows?: number) =>
  planOn(lake, stage, { config: config(), maxCostUsd, rows });

it('writes the items of the maps and answers with their keys in the bucket', async () => {
  const { answer, store } = await plan(1);
  expect(answer).toMatchObject({
    scored: true,
    arms: [{ arm: 'main' }, { arm: 'control' }],
    probeItemsKey: 'runs/r/stages/1/probe-items.json',
    scoreItemsKey: 'runs/r/stages/1/score-items.json',
  });
  expect(await getJson(store, stageLayout(1).probeItems)).toHaveLength(3);
  expect(await getJson(store, stageLayout(1).scoreItems)).toHaveLength(4);
  expect((await plan(0)).answer).toMatchObject({ scored: false, arms: [{ arm: 'main' }] });
});

it('refuses the first stage where a later one cannot have its rows, and plans nothing', async () => {
  const short = config({ selection: { fraction: 0.01 } });
  const planned = planOn(lake, 0, { config: short });
  await expect(planned).rejects.toThrow(/^stage 1: the candidate pool has .* selection\.fraction 0\.01 keeps/);
  const store = storeOpener(lake.path)('s3://lake/runs/r');
  expect(await store.size(stageLayout(0).plan)).toBeUndefined();
});

it('asks for no jobs of a stage that is done', async () => {
  const { store } = await plan(1);
  await putJson(store, armLayout(1, 'main').evaluation, {});
  expect((await plan(1)).answer).toMatchObject({ scored: true, arms: [{ arm: 'main' }, { arm: 'control' }] });
  await putJson(store, armLayout(1, 'control').evaluation, {});
  await putJson(store, checkpointMark(armLayout(1, 'main').checkpoint), {});
  expect((await plan(1)).answer).toMatchObject({ scored: true, arms: [{ arm: 'main' }, { arm: 'control' }] });
  await putJson(store, checkpointMark(armLayout(1, 'control').checkpoint), {});
  expect((await plan(1)).answer).toMatchObject({ scored: false, preparesProbe: false, probed: false, arms: [] });
});

describe('maxCostUsd', () => {
  it('stops before the stage that would exceed it', async () => {
    const place = { corpus: corpusOf(24, 50) };
    const [through0, through1] = [costThroughStage(config(), 0, place), costThroughStage(config(), 1, place)];
    expect(through0).toBeLessThan(through1);
    const limit = (through0 + through1) / 2;
    expect((await plan(0, limit)).answer.withinBudget).toBe(true);
    expect((await plan(1, limit)).answer.withinBudget).toBe(false);
  });

  it('lets the run go on where it is not set or just reached', async () => {
    expect((await plan(2)).answer.withinBudget).toBe(true);
    expect((await plan(2, costThroughStage(config(), 2, { corpus: corpusOf(24, 50) }))).answer.withinBudget).toBe(true);
  });
});

it('maxCostUsd is compared with the cost of the passages that the run has, as far as it has recorded them', async () => {
  const exact = config({ probe: { method: 'exact', documents: 40 }, reference: { input: 'r.jsonl', passages: 64 } });
  const limit = costThroughStage(exact, 1, { corpus: corpusOf(24, 50) });
  const planned = () => planOn(lake, 1, { config: exact, maxCostUsd: limit });
  const { store } = await planned();
  const statistics = { passages: 64, tokens: 64 * 8, targets: 64 * 7, missing: 0, examples: [] };
  const record = (reference: PassageStatistics) =>
    putJson(store, PASSAGES_FILE, { format: 'mates-passages/1', reference, heldOut: statistics, warnings: [] });
  await record({ ...statistics, passages: undefined as never });
  expect((await planned()).answer.withinBudget).toBe(true);
  await record({ ...statistics, passages: 6400, tokens: 640_000, targets: 633_600 });
  expect((await planned()).answer.withinBudget).toBe(false);
});

it('maxCostUsd is compared with the hours that are recorded where they exceed the estimate', async () => {
  const place = { corpus: corpusOf(24, 50) };
  const limit = 1.5 * costThroughStage(config(), 1, place);
  const timing = (job: string, seconds: number) => ({ job, begin: 0, seconds, flops: 0 });
  const { store } = await plan(1, limit);
  await putJson(store, stageLayout(0).timing('prepare'), timing('prepare', 36_000));
  expect((await plan(1, limit)).answer.withinBudget).toBe(false);
  await putJson(store, stageLayout(0).timing('prepare'), timing('prepare', 1));
  await putJson(store, stageLayout(0).timing('pretrain-main'), timing('pretrain-main', 1));
  expect((await plan(1, limit)).answer.withinBudget).toBe(true);
  await putJson(store, stageLayout(0).timing('pretrain-main'), timing('pretrain-main', 36_000));
  expect((await plan(1, limit)).answer.withinBudget).toBe(false);
  // Attempts that were interrupted are paid for as well.
  const earlier = [{ begin: 0, seconds: 36_000 }];
  await putJson(store, stageLayout(0).timing('pretrain-main'), { ...timing('pretrain-main', 1), earlier });
  expect((await plan(1, limit)).answer.withinBudget).toBe(false);
  // They stay paid for when later stages were quick, as do those of attempts at this stage.
  const later = 1.5 * costThroughStage(config(), 2, place);
  await putJson(store, stageLayout(1).timing('pretrain-main'), timing('pretrain-main', 1));
  expect((await plan(2, later)).answer.withinBudget).toBe(false);
  await putJson(store, stageLayout(0).timing('pretrain-main'), timing('pretrain-main', 1));
  expect((await plan(2, later)).answer.withinBudget).toBe(true);
  await putJson(store, stageLayout(2).interrupted('pretrain-control'), earlier);
  expect((await plan(2, later)).answer.withinBudget).toBe(false);
  // A stage that is done costs nothing more, whatever the cap is now.
  for (const arm of ['main', 'control'] as const) {
    await putJson(store, armLayout(2, arm).evaluation, {});
    await putJson(store, checkpointMark(armLayout(2, arm).checkpoint), {});
  }
  expect((await plan(2, 0.01)).answer.withinBudget).toBe(true);
});

it('an arm whose trainer recorded no time counts as much as the other', async () => {
  const { store } = await plan(2);
  const seconds = 36_000;
  const trained = (arm: string) =>
    putJson(store, stageLayout(1).timing(`pretrain-${arm}`), { job: `pretrain-${arm}`, begin: 0, seconds, flops: 0 });
  const place = (jobs: number) => ({
    corpus: corpusOf(24, 50),
    measured: [new Map(), new Map([['pretrain', (jobs * seconds) / 3600] as const]), new Map()],
  });
  const [one, both] = [1, 2].map((jobs) => costThroughStage(config(), 2, place(jobs)));
  const between = (one! + both!) / 2;
  await trained('main');
  expect((await plan(2, between)).answer.withinBudget).toBe(false);
  expect((await plan(2, 1.01 * both!)).answer.withinBudget).toBe(true);
  await trained('control');
  expect((await plan(2, 1.01 * both!)).answer.withinBudget).toBe(true);
  expect((await plan(2, between)).answer.withinBudget).toBe(false);
});

it('maxCostUsd is compared with the cost of the actual pools', async () => {
  const least = costThroughStage(config(), 1);
  expect((await plan(1, 1.1 * least)).answer.withinBudget).toBe(true);
  expect((await plan(1, 1.1 * least, 5_000_000)).answer.withinBudget).toBe(false);
});

/** https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html: 8,192 characters of container overrides. */
describe('at 10,000 shards', () => {
  const large = config({ corpus: { input: ['s3://b/*'], shards: 10_000 }, scoring: { jobs: 1 } });
  const corpus = corpusOf(10_000, 3000);

  it.each([1, 10_000])("the environment of each of %i scoring jobs stays within Batch's limit", (jobs) => {
    const plan = planStage({ ...large, scoring: { ...large.scoring, jobs } }, corpus, 1);
    const items = [...scoreItems(plan), ...probeItems(plan)];
    expect(items.length).toBeGreaterThan(jobs);
    for (const item of items) {
      const variables = {
        MATES_RUN_URI: `s3://${'b'.repeat(63)}/runs/${'r'.repeat(48)}`,
        MATES_STAGE: '99',
        MATES_ITEM: JSON.stringify(item),
      };
      const overrides = { Environment: Object.entries(variables).map(([Name, Value]) => ({ Name, Value })) };
      expect(JSON.stringify(overrides).length).toBeLessThan(1000);
    }
  });

  it('a job finds the ranges of its item again, over all its shards', () => {
    const plan = planStage(large, corpus, 1);
    const [item] = scoreItems(plan);
    const ranges = scoredRanges(plan, corpus, item!);
    expect(ranges.length).toBe(plan.poolShards.length);
    expect(ranges.reduce((sum, { begin, end }) => sum + end - begin, 0)).toBe(plan.poolRows);
  });
});
