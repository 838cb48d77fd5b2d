import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { quotaNeeds } from '../../core/cost/quotas.ts';

const example = (name: string) => parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);
const needs = (name: string, place: Parameters<typeof quotaNeeds>[1] = {}) =>
  quotaNeeds(example(name), place).map(({ code, least, useful }) => [code, least, useful]);

it('quotas cover as many instances as the widest step has jobs, up to what is deployed', () => {
  const prepared = [
    ['L-34B43A08', 4, 4],
    ['L-1216C47A', 4, 4],
  ];
  expect(needs('paper-410m')).toEqual([['L-3819A6DF', 4, 64], ['L-DB2E81BA', 4, 64], ...prepared]);
  // Two probing jobs, and two of scoring.
  expect(needs('smoke')).toEqual([['L-3819A6DF', 4, 8], ['L-DB2E81BA', 4, 8], ...prepared]);
  const cpu = { deployment: { ...DEFAULT_DEPLOYMENT, accelerator: 'cpu' as const } };
  expect(needs('smoke', cpu)).toEqual([
    ['L-34B43A08', 4, 8],
    ['L-1216C47A', 4, 8],
  ]);
});

it('quotas count whole instances, however little of one a job takes, and training jobs by type', () => {
  const deployment = { ...DEFAULT_DEPLOYMENT, gpuInstances: ['p5.48xlarge'] };
  expect(needs('paper-410m', { deployment }).slice(0, 2)).toEqual([
    ['L-C4BD4855', 192, 192], // P5 has a quota of its own on spot, and those of all P on demand
    ['L-417A185B', 192, 192],
  ]);
  const training = (pretrainConcurrency: number, config = example('smoke')) => {
    const deployment = { ...DEFAULT_DEPLOYMENT, pretrainConcurrency };
    return quotaNeeds(config, { trainer: 'sagemaker', deployment }).at(-1);
  };
  const quota = 'SageMaker: ml.g5.xlarge for (spot) training job usage';
  expect(training(2)).toEqual({ quota, unit: 'instances', least: 2, useful: 2 });
  expect(training(1)).toEqual({ quota, unit: 'instances', least: 1, useful: 1 });
  // Both arms share the first stage, and where rows are random there is no control.
  const smoke = example('smoke');
  const alone = [
    { ...smoke, pretrain: { ...smoke.pretrain, stages: 1 } },
    { ...smoke, selection: { ...smoke.selection, method: 'random' as const } },
  ];
  for (const config of alone) expect(training(2, config)).toMatchObject({ least: 1 });
});
