import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import { DirectoryStore, getJson } from '../../core/storage/index.ts';
import { isRunning } from '../../functions/validate-run/execution-status.ts';
import { type ExecutionRecord, takeRun } from '../../functions/validate-run/lease.ts';
import { liveJobs } from '../../functions/validate-run/live-jobs.ts';
import { batch, fakeBatch, fakeSageMaker, QUEUES, sagemaker, TRAINING_ROLE } from '../commands/support.ts';
import { temporaryFolder } from '../support.ts';

process.env.AWS_REGION ??= 'us-east-1';
const arn = (name: string) => `arn:aws:states:us-east-1:123456789012:execution:Machine:${name}`;

describe('a run', () => {
  let store: DirectoryStore;
  beforeEach(async () => {
    store = new DirectoryStore(await temporaryFolder());
  });
  const holders = async () =>
    Promise.all(
      (await store.list('executions/')).map(async (key) => (await getJson<ExecutionRecord>(store, key)).execution),
    );
  const look = (isRunning: boolean, jobs: string[] = []) => ({
    isRunning: async () => isRunning,
    liveJobs: async () => jobs,
  });
  const [never, always] = [look(false), look(true)];

  it('is taken by the first execution, which may come twice', async () => {
    await takeRun(store, arn('a'), never);
    await takeRun(store, arn('a'), always);
    expect(await holders()).toEqual([arn('a')]);
  });

  it('is refused to another while the one that holds it goes on, with its name and the remedy', async () => {
    await takeRun(store, arn('a'), never);
    await expect(takeRun(store, arn('b'), always)).rejects.toThrow(ConfigError);
    await expect(takeRun(store, arn('b'), always)).rejects.toThrow(
      /the execution a has been working on this run since 2\d{3}-.*mates stop a.*runId.*execution:Machine:a$/,
    );
    expect(await holders()).toEqual([arn('a')]);
  });

  it('is taken over from one that has ended, however often', async () => {
    for (let i = 0; i < 12; i++) await takeRun(store, arn(`e${i}`), never);
    expect(await holders()).toEqual(Array.from({ length: 12 }, (_, i) => arn(`e${i}`)));
    // An execution that comes back after the run was taken over has no right to it any more.
    await expect(takeRun(store, arn('e3'), always)).rejects.toThrow(/the execution e11 has been working/);
  });

  it('is refused while an execution that has ended has left jobs of it, with their names and the remedy', async () => {
    await takeRun(store, arn('a'), never);
    const left = (...jobs: string[]) => takeRun(store, arn('b'), look(false, jobs));
    await expect(left('pretrain-r-0-main')).rejects.toThrow(ConfigError);
    await expect(left('pretrain-r-0-main')).rejects.toThrow(
      /its job pretrain-r-0-main is still there: .*\(mates stop a\)/,
    );
    await expect(left('probe-r-1', 'probe-r-1')).rejects.toThrow(/its job probe-r-1 and 1 more are still there/);
    expect(await holders()).toEqual([arn('a')]);
    await left();
    expect(await holders()).toEqual([arn('a'), arn('b')]);
  });

  it('goes to one of many that come at once, be it free or held by one that has ended', async () => {
    const ended = new Set<string>();
    for (const round of ['first', 'second', 'third']) {
      const names = Array.from({ length: 8 }, (_, i) => arn(`${round}-${i}`));
      const taken = await Promise.allSettled(
        names.map((execution) =>
          takeRun(store, execution, { ...never, isRunning: async (holder) => !ended.has(holder.execution) }),
        ),
      );
      expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const held = await holders();
      expect(names[taken.findIndex(({ status }) => status === 'fulfilled')]).toBe(held.at(-1));
      expect(new Set(held).size).toBe(ended.size + 1);
      ended.add(held.at(-1)!);
    }
  });
});

describe('an execution', () => {
  const sfn = mockClient(SFNClient);
  beforeEach(() => sfn.reset());
  const held = (minutes: number): ExecutionRecord => ({
    format: 'mates-execution/1',
    execution: arn('a'),
    since: new Date(Date.now() - 60_000 * minutes).toISOString(),
  });
  const refused = (name: string) => Object.assign(new Error(name), { name });

  it.each([
    ['RUNNING', true],
    ['PENDING_REDRIVE', true],
    ['SUCCEEDED', false],
    ['FAILED', false],
    ['TIMED_OUT', false],
    ['ABORTED', false],
  ] as const)('%s goes on: %s', async (status, goesOn) => {
    sfn.on(DescribeExecutionCommand, { executionArn: arn('a') }).resolves({ status });
    expect(await isRunning(held(1))).toBe(goesOn);
  });

  it('that the service does not know counts as running when recent, and as ended after ninety days', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('ExecutionDoesNotExist'));
    expect(await isRunning(held(1))).toBe(true);
    expect(await isRunning(held(60 * 24 * 100))).toBe(false);
  });

  it('of another state machine is an error, as it cannot be asked about', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('AccessDeniedException'));
    await expect(isRunning(held(1))).rejects.toThrow(ConfigError);
    await expect(isRunning(held(1))).rejects.toThrow(/another state machine.*delete the newest file/);
  });

  it('is not taken for ended when the service cannot be asked', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('ThrottlingException'));
    await expect(isRunning(held(1))).rejects.toThrow('ThrottlingException');
  });
});

describe('the jobs that an execution has left', () => {
  const holder = (trainer?: 'batch' | 'sagemaker'): ExecutionRecord => ({
    format: 'mates-execution/1',
    execution: arn('run-1'),
    since: '2026-01-01T00:00:00Z',
    trainer,
  });
  beforeEach(() => {
    batch.reset();
    sagemaker.reset();
    vi.stubEnv('MATES_JOB_QUEUES', QUEUES.join(','));
    vi.stubEnv('MATES_TRAINING_ROLE', TRAINING_ROLE);
  });
  afterEach(() => vi.unstubAllEnvs());

  it('are those of the run that have not ended, in every queue', async () => {
    fakeBatch([
      { id: 'done', name: 'prepare-run-1', run: 'run-1', queue: 0, status: 'SUCCEEDED' },
      { id: 'cpu', name: 'prepare-run-1', run: 'run-1', queue: 0, status: 'RUNNING' },
      { id: 'gpu', name: 'probe-run-1-1', run: 'run-1', status: 'RUNNABLE' },
      { id: 'other', name: 'probe-run-1-1-1', run: 'run-1-1', status: 'RUNNING' },
    ]);
    expect(await liveJobs('run-1')(holder())).toEqual(['prepare-run-1', 'probe-run-1-1']);
    expect(sagemaker.calls()).toEqual([]);
  });

  it('may be on SageMaker where it trained there', async () => {
    fakeBatch([]);
    fakeSageMaker([
      { name: 'run-1-0-aaaaaaaa', run: 's3://lake/runs/run-1', status: 'InProgress' },
      { name: 'run-1-1-0-bbbbbbbb', run: 's3://lake/runs/run-1-1', status: 'InProgress' },
    ]);
    expect(await liveJobs('run-1')(holder('sagemaker'))).toEqual(['run-1-0-aaaaaaaa']);
  });
});
