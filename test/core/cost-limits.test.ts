/** What a run is told when the times of its deployment are too short for it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { DEFAULT_DEPLOYMENT } from '../../core/cost/deployment.ts';
import { timeWarnings } from '../../core/cost/limits.ts';

const example = (name: string) => parseConfig(JSON.parse(readFileSync(`examples/${name}.json`, 'utf8')), name);
const paper = example('paper-410m');
const deployed = (settings: Partial<typeof DEFAULT_DEPLOYMENT>) => ({ ...DEFAULT_DEPLOYMENT, ...settings });

it.each(['smoke', 'quickstart', 'small'])('%s ends in time', (name) => {
  expect(timeWarnings(example(name))).toEqual([]);
});

it('names the job whose attempts are together too short, and the setting', () => {
  // A stage's 1.27e19 operations at 35 % of an L4's 30.3e12 a second.
  const [job, run, ...more] = timeWarnings(paper);
  expect(more).toEqual([]);
  expect(job).toMatch(
    /^A job of pretrain takes about 333 hours on g6\.xlarge, and has 235 in 10 attempts: .*jobTimeoutHours/,
  );
  expect(run).toMatch(/^The run takes at least 72 days .*runTimeoutDays/);
  expect(timeWarnings(paper, { deployment: deployed({ jobTimeoutHours: 48, runTimeoutDays: 90 }) })).toEqual([]);
});

it('has one attempt for what starts over, and for a SageMaker job', () => {
  const deployment = deployed({ jobTimeoutHours: 48, runTimeoutDays: 90 });
  expect(timeWarnings(paper, { deployment, trainer: 'sagemaker' })).toEqual([
    expect.stringMatching(/^A job of pretrain takes about 288 hours on ml\.g5\.xlarge, and has 48: /),
  ]);
  const long = { ...paper, pretrain: { ...paper.pretrain, decaySteps: 3000 } };
  expect(timeWarnings(long, { deployment: deployed({ jobTimeoutHours: 72, runTimeoutDays: 90 }) })).toEqual([
    expect.stringMatching(/^A job of evaluate takes about 100 hours on g6\.xlarge, and has 72: /),
    expect.stringMatching(/^The run takes/),
  ]);
});
