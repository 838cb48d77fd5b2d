import { afterEach, expect, it, vi } from 'vitest';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { costThroughStage, instancesFor, jobHours, type Place, pricePlan } from '../../core/cost/price.ts';
import { corpusOf } from '../support.ts';
import { stagesConfig as config, planOn, temporaryLake } from './support.ts';

const corpus = corpusOf(24, 50);
afterEach(() => vi.unstubAllEnvs());

const lake = temporaryLake();
const plan = async (stage: number, options: Partial<Parameters<typeof planOn>[2]>) =>
  (await planOn(lake, stage, { config: config(), ...options })).answer;

it('maxCostUsd is held against the trainer of the run and the instances of the deployment', async () => {
  const usd = (place: Omit<Place, 'corpus'>) => costThroughStage(config(), 1, { corpus, ...place });
  const between = (a: number, b: number) => {
    expect(Math.abs(a / b - 1)).toBeGreaterThan(0.01); // otherwise this would test nothing
    return (a + b) / 2;
  };
  const [batch, sagemaker] = [usd({ trainer: 'batch' }), usd({ trainer: 'sagemaker' })];
  const maxCostUsd = between(batch, sagemaker);
  for (const [trainer, cost] of [
    ['batch', batch],
    ['sagemaker', sagemaker],
  ] as const)
    expect((await plan(1, { maxCostUsd, trainer })).withinBudget, trainer).toBe(cost <= maxCostUsd);
  const large = { gpuInstances: ['p5.48xlarge'] };
  const cap = between(batch, usd({ deployment: { ...DEFAULT_DEPLOYMENT, ...large } }));
  expect((await plan(1, { maxCostUsd: cap })).withinBudget).toBe(true);
  vi.stubEnv('MATES_DEPLOYMENT', JSON.stringify(large));
  expect((await plan(1, { maxCostUsd: cap })).withinBudget).toBe(false);
});

it('maxCostUsd needs a price for the instance that prepares the corpus, where the run prepares it', () => {
  const deployment = { ...DEFAULT_DEPLOYMENT, cpuInstances: ['m7i.xlarge', 'x9z.xlarge'] };
  const onGpus = { engine: { runtime: 'onnx-cuda' } };
  expect(() => costThroughStage(config(onGpus), 0, { deployment })).toThrow(/no price of x9z\.xlarge to/);
  const prepared = config({ ...onGpus, corpus: { prepared: 's3://b/corpus' } });
  expect(costThroughStage(prepared, 0, { deployment })).toBeGreaterThan(0);
});

it('a configuration that cannot work at a later stage is refused when the first is planned', async () => {
  const late = config({
    pretrain: { stages: 3, stepsPerStage: 60, batchRows: 2, microBatchRows: 2 },
    pools: { warmup: 0.4 },
  });
  await expect(plan(0, { config: late })).rejects.toThrow(/^stage 1: the candidate pool has/);
});

it('a spot instance costs what the discount leaves of its price', () => {
  for (const { onDemandUsd, spotUsd } of pricePlan(config()).instances)
    expect(spotUsd / onDemandUsd).toBeCloseTo(0.4, 9);
});

it('SageMaker is priced by the instance type that is deployed', () => {
  const paper = config({ engine: { runtime: 'onnx-cuda' } });
  const deployment = { ...DEFAULT_DEPLOYMENT, sagemakerInstanceType: 'ml.p5.48xlarge' };
  const [plan] = pricePlan(paper, { trainer: 'sagemaker', deployment }).instances;
  expect(plan!.instance).toBe('g6.xlarge + ml.p5.48xlarge');
  expect(costThroughStage(paper, 0, { trainer: 'sagemaker', deployment })).toBeGreaterThan(
    2 * costThroughStage(paper, 0, { trainer: 'sagemaker' }),
  );
});

it('the jobs that `mixed` leaves in float32 take as long as in float32, and the others less', () => {
  const [float32, mixed] = (['float32', 'mixed'] as const).map((precision) =>
    config({ engine: { runtime: 'onnx-cuda', precision } }),
  );
  const [host] = instancesFor(float32!);
  const hours = (part: 'probe' | 'pretrain', by: typeof float32) =>
    jobHours({ part, flops: 1e18, jobs: 1 }, host!, by!);
  expect(hours('probe', mixed)).toBe(hours('probe', float32));
  expect(hours('pretrain', mixed)).toBeLessThan(hours('pretrain', float32));
});
