/** What a run is told when its deployment has too little time or memory for it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { limitWarnings } from '../../core/cost/limits.ts';
import { textBytes } from '../../core/cost/preparation.ts';
import type { Place } from '../../core/cost/price.ts';

const example = (name: string) => parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);
const paper = example('paper-410m');
const withRows = (microBatchRows: number) => ({ ...paper, pretrain: { ...paper.pretrain, microBatchRows } });
/** With room for the paper's corpus, which is what most of these runs prepare. */
const deployed = (settings: Partial<typeof DEFAULT_DEPLOYMENT>) => ({
  ...DEFAULT_DEPLOYMENT,
  rootVolumeGib: 600,
  ...settings,
});

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
  const within = (jobTimeoutHours: number) =>
    limitWarnings(paper, { deployment: deployed({ jobTimeoutHours, runTimeoutDays: 90 }) });
  expect(within(360)).toEqual([]);
  expect(within(72)).toEqual([]);
  // Time and spot interruptions use the same attempts.
  expect(within(48)).toEqual([
    expect.stringMatching(
      /^A job of pretrain takes about 333 hours on g6\.xlarge, 8 of its 10 attempts, .*than 48, or/,
    ),
  ]);
});

it('allows one attempt to jobs that start over, and to SageMaker jobs', () => {
  const deployment = deployed({ jobTimeoutHours: 48, runTimeoutDays: 90 });
  expect(limitWarnings(paper, { deployment, trainer: 'sagemaker' })).toEqual([
    expect.stringMatching(/^engine\.runtime onnx-cuda needs NVIDIA's driver 580 or later/),
    expect.stringMatching(/^A job of pretrain takes about 288 hours on ml\.g5\.xlarge, and has 48: /),
  ]);
  const longest = deployed({ jobTimeoutHours: 800, runTimeoutDays: 300, sagemakerInstanceType: 'ml.g5.xlarge' });
  const steps = { ...paper, pretrain: { ...paper.pretrain, stepsPerStage: 10 * paper.pretrain.stepsPerStage } };
  expect(limitWarnings(steps, { deployment: longest, trainer: 'sagemaker' })).toContainEqual(
    expect.stringMatching(/, and has 672: deploy on faster instances, or let Batch pretrain, which resumes it\.$/),
  );
  const lookahead = { steps: 20_000, batchRows: 512 };
  const long = { ...paper, probe: { ...paper.probe, method: 'lookahead' as const, lookahead } };
  expect(limitWarnings(long, { deployment: deployed({ jobTimeoutHours: 72, runTimeoutDays: 300 }) })).toEqual([
    expect.stringMatching(/^A job of prepare-probe takes about \d{3,} hours on g6\.xlarge, and has 72: /),
  ]);
});

it('warns where the files have too little text for the rows', () => {
  const text = (textBytes: number) => limitWarnings(paper, { textBytes }).filter((one) => /text/.test(one));
  expect(text(4e11)).toEqual([]);
  expect(text(4e9)).toEqual([
    expect.stringMatching(/^The corpus's files have about 4\.0 GB of text, and rows .* lower/),
  ]);
  const prepared = { ...paper, corpus: { prepared: 's3://b/corpus' } };
  expect(limitWarnings(prepared, { textBytes: 0 }).filter((one) => /text/.test(one))).toEqual([]);
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

it('warns of a deployment with GPUs that the engine leaves idle', () => {
  expect(limitWarnings(example('smoke'), { deployment: DEFAULT_DEPLOYMENT })).toEqual([
    expect.stringMatching(/^engine\.runtime onnx computes on the CPUs of instances that have GPUs: .*onnx-cuda/),
  ]);
  expect(limitWarnings(example('smoke'), { deployment: deployed({ accelerator: 'cpu' }) })).toEqual([]);
});

describe('preparing the corpus', () => {
  const preparing = (place: Place, config = paper) =>
    limitWarnings(config, place).filter((one) => /^Preparing/.test(one));
  const tight = deployed({ rootVolumeGib: 200 });

  it('needs a disk that holds its text, and attempts long enough to get beyond reading it', () => {
    // 114 million rows of 1,024 tokens are 490 GB, or 457 GiB; a twentieth for what lies beside the text, and 50 GiB.
    expect(preparing({ deployment: tight })).toEqual([
      expect.stringMatching(/needs a disk of about 529 GiB.*instances have 200: deploy with a larger rootVolumeGib/),
    ]);
    expect(preparing({ deployment: deployed({}) })).toEqual([]);
    expect(preparing({ deployment: deployed({ jobTimeoutHours: 6 }) })).toEqual([
      expect.stringMatching(/takes about 15 hours on 4 vCPUs.*begins with 7 of them: .*jobTimeoutHours than 6/),
    ]);
    expect(preparing({ deployment: deployed({ jobTimeoutHours: 12 }) })).toEqual([]);
    expect(preparing({ deployment: deployed({ jobTimeoutHours: 12, jobAttempts: 1 }) })).toHaveLength(1);
  });

  it('is judged by the inputs where they are known', () => {
    const files = [
      { bytes: 50e9, format: '.jsonl.gz' as const },
      { bytes: 10e9, format: '.txt' as const },
    ];
    expect(textBytes(files)).toBe(140e9);
    expect(preparing({ deployment: tight, textBytes: textBytes(files) })).toEqual([]);
    expect(preparing({ deployment: tight, textBytes: 2 * textBytes(files) })).toHaveLength(1);
  });

  it('is not judged without a deployment, or with a corpus prepared beforehand', () => {
    expect(preparing({})).toEqual([]);
    const corpus = { prepared: 's3://lake/corpus' };
    expect(preparing({ deployment: tight }, { ...paper, corpus })).toEqual([]);
  });
});
