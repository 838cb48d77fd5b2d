/** What a run is told when its deployment has too little time or memory for it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { limitWarnings } from '../../core/cost/limits.ts';

const example = (name: string) => parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);
const paper = example('paper-410m');
const withRows = (microBatchRows: number) => ({ ...paper, pretrain: { ...paper.pretrain, microBatchRows } });
const deployed = (settings: Partial<typeof DEFAULT_DEPLOYMENT>) => ({ ...DEFAULT_DEPLOYMENT, ...settings });

it.each(['smoke', 'quickstart', 'small'])('%s ends in time and fits', (name) => {
  expect(limitWarnings(example(name))).toEqual([]);
});

it('names the job whose attempts are together too short, and the setting', () => {
  // A stage's 1.27e19 operations at 35 % of an L4's 30.3e12 a second.
  const [job, run, ...more] = limitWarnings(paper);
  expect(more).toEqual([]);
  expect(job).toMatch(
    /^A job of pretrain takes about 333 hours on g6\.xlarge, and has 235 in 10 attempts: .*jobTimeoutHours/,
  );
  expect(run).toMatch(/^The run takes at least 72 days .*runTimeoutDays/);
  expect(limitWarnings(paper, { deployment: deployed({ jobTimeoutHours: 48, runTimeoutDays: 90 }) })).toEqual([]);
});

it('has one attempt for what starts over, and for a SageMaker job', () => {
  const deployment = deployed({ jobTimeoutHours: 48, runTimeoutDays: 90 });
  expect(limitWarnings(paper, { deployment, trainer: 'sagemaker' })).toEqual([
    expect.stringMatching(/^A job of pretrain takes about 288 hours on ml\.g5\.xlarge, and has 48: /),
  ]);
  const long = { ...paper, pretrain: { ...paper.pretrain, decaySteps: 3000 } };
  expect(limitWarnings(long, { deployment: deployed({ jobTimeoutHours: 72, runTimeoutDays: 90 }) })).toEqual([
    expect.stringMatching(/^A job of evaluate takes about 100 hours on g6\.xlarge, and has 72: /),
    expect.stringMatching(/^The run takes/),
  ]);
});

it('knows the memory of pretraining, in the job and on the GPU', () => {
  const memory = (config: RunConfig, place = {}) => limitWarnings(config, place).filter((one) => /memory/.test(one));
  expect(memory(paper)).toEqual([]);
  // Four rows were measured to take 26 GB (docs/performance.md), so eight take twice that.
  expect(memory(withRows(8))).toEqual([
    expect.stringMatching(
      /55 GB of a GPU's memory, and the L4 of g6\.xlarge has 24: lower pretrain\.microBatchRows, now 8/,
    ),
  ]);
  // 1.0 billion parameters with both moments, the gradient and the sum of gradients.
  const billion = example('paper-1b');
  expect(memory(billion)).toEqual([
    expect.stringMatching(/needs about 21 GB of memory, and a job has 15: .*jobMemoryMib/),
  ]);
  expect(memory(billion, { deployment: deployed({ jobMemoryMib: 30_000 }) })).toEqual([]);
});

it('tells of a deployment with GPUs that the engine leaves idle', () => {
  expect(limitWarnings(example('smoke'), { deployment: DEFAULT_DEPLOYMENT })).toEqual([
    expect.stringMatching(/^engine\.runtime onnx computes on the CPUs of instances that have GPUs: .*onnx-cuda/),
  ]);
  expect(limitWarnings(example('smoke'), { deployment: deployed({ accelerator: 'cpu' }) })).toEqual([]);
});
