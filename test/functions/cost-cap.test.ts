import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, expect, it, vi } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { costThroughStage, instancesFor, jobHours, type Place, pricePlan } from '../../core/cost/price.ts';
import { CORPUS_FOLDER } from '../../core/layout.ts';
import { createRun } from '../../core/run/create-run.ts';
import { putJson, storeOpener } from '../../core/storage/index.ts';
import { handler as planStage } from '../../functions/plan-stage/index.ts';
import { handler as validate } from '../../functions/validate-run/index.ts';
import { corpusOf } from '../support.ts';
import { temporaryLake } from './support.ts';

const config = (over: object = {}) =>
  parseConfig(
    {
      corpus: { input: ['builtin:corpus/logs.jsonl.gz'] },
      reference: { input: 'builtin:corpus/reference.jsonl' },
      heldOut: { input: 'builtin:corpus/held-out.jsonl' },
      pretrain: { stages: 3, stepsPerStage: 10, batchRows: 2, microBatchRows: 2 },
      probe: { documents: 10, jobs: 3 },
      ...over,
    },
    'test',
  );
const corpus = corpusOf(24, 50);
afterEach(() => vi.unstubAllEnvs());

const lake = temporaryLake();
async function plan(
  stage: number,
  {
    maxCostUsd,
    trainer = 'batch',
    run = config(),
  }: { maxCostUsd?: number; trainer?: 'batch' | 'sagemaker'; run?: ReturnType<typeof config> },
) {
  const uri = 's3://lake/runs/r';
  const store = storeOpener(lake.path)(uri);
  await createRun(store, 'r', run, {});
  await putJson(store, `${CORPUS_FOLDER}/corpus.json`, corpus);
  return planStage({
    run: { id: 'r', uri, bucket: 'lake', prefix: 'runs/r', trainer, dryRun: false, maxCostUsd },
    stage,
  });
}

it('maxCostUsd is held against the trainer of the run and the instances of the deployment', async () => {
  const usd = (place: Omit<Place, 'corpus'>) => costThroughStage(config(), 1, { corpus, ...place });
  const between = (a: number, b: number) => {
    expect(Math.abs(a / b - 1)).toBeGreaterThan(0.01); // or this would test nothing
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

it('what cannot work at a later stage is refused when the first is planned', async () => {
  const run = config({
    pretrain: { stages: 3, stepsPerStage: 60, batchRows: 2, microBatchRows: 2 },
    pools: { warmup: 0.4 },
  });
  await expect(plan(0, { run })).rejects.toThrow(/^stage 1: the candidate pool has/);
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

it('what `mixed` leaves in float32 takes as long as in float32, and what it does not, less', () => {
  const [float32, mixed] = (['float32', 'mixed'] as const).map((precision) =>
    config({ engine: { runtime: 'onnx-cuda', precision } }),
  );
  const [host] = instancesFor(float32!);
  const hours = (part: 'probe' | 'pretrain', by: typeof float32) =>
    jobHours({ part, flops: 1e18, jobs: 1 }, host!, by!);
  expect(hours('probe', mixed)).toBe(hours('probe', float32));
  expect(hours('pretrain', mixed)).toBeLessThan(hours('pretrain', float32));
});

it('the cap of the execution before is held against the first stage too', async () => {
  vi.stubEnv('MATES_LAKE_BUCKET', 'lake-bucket');
  vi.stubEnv('MATES_LAKE_DIRECTORY', undefined);
  vi.stubEnv('AWS_REGION', 'us-east-1');
  const [s3, sfn] = [mockClient(S3Client), mockClient(SFNClient)];
  const missing = (name: string) => Object.assign(new Error(name), { name, $metadata: { httpStatusCode: 404 } });
  const arn = 'arn:aws:states:us-east-1:123456789012:execution:Machine:first';
  const record = { format: 'mates-execution/1', execution: arn, since: '2026-01-01T00:00:00Z', maxCostUsd: 0.1 };
  const Key = 'runs/r/executions/00000.json';
  s3.on(GetObjectCommand).rejects(missing('NoSuchKey'));
  s3.on(HeadObjectCommand).rejects(missing('NotFound'));
  s3.on(PutObjectCommand).resolves({});
  s3.on(ListObjectsV2Command).resolves({ Contents: [{ Key }] });
  const Body = { transformToByteArray: async () => new TextEncoder().encode(JSON.stringify(record)) };
  s3.on(GetObjectCommand, { Key }).resolves({ Body } as object);
  sfn.on(DescribeExecutionCommand).resolves({ status: 'FAILED' });
  const again = validate({ input: { runId: 'r' }, execution: arn.replace('first', 'second'), executionName: 'second' });
  await expect(again).rejects.toThrow(/maxCostUsd is 0\.1, .*by the end of its first stage/);
  s3.restore();
  sfn.restore();
});
