import { BatchClient, ListJobsCommand } from '@aws-sdk/client-batch';
import { StopTrainingJobCommand } from '@aws-sdk/client-sagemaker';
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  ListMapRunsCommand,
  SFNClient,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { beforeEach, expect, it } from 'vitest';
import { stop } from '../../bin/deployed/commands/stop.ts';
import { stopRun } from '../../bin/deployed/stop-run.ts';
import { ConfigError, RunError } from '../../core/errors.ts';
import {
  batch,
  EXECUTION,
  fakeBatch,
  fakeDefinition,
  fakeSageMaker,
  MACHINE,
  MAP_RUN,
  printed,
  QUEUES,
  sagemaker,
  sfn,
} from './support.ts';

const clients = [new SFNClient({}), new BatchClient({})] as const;
const options = { sleep: async () => {}, looks: 20 };
const stopped = () => sfn.commandCalls(StopExecutionCommand).map(({ args }) => args[0].input.executionArn);

beforeEach(() => {
  sfn.reset();
  batch.reset();
  sagemaker.reset();
  fakeDefinition();
  fakeBatch([]);
  fakeSageMaker([]);
  sfn.on(DescribeExecutionCommand).resolves({ status: 'RUNNING', name: 'run-1', input: '{}' });
  sfn.on(StopExecutionCommand).resolves({});
  sfn.on(ListMapRunsCommand).resolves({ mapRuns: [] });
  // It is listed as running for a while after it was stopped.
  sfn.on(ListExecutionsCommand).resolves({ executions: [{ executionArn: EXECUTION, name: 'run-1' } as never] });
});

it('ends the execution and every job of its run, in whatever state and queue, and no other', async () => {
  const told = fakeBatch([
    { id: 'prepare', name: 'prepare-run-1', run: 'run-1', queue: 0, status: 'SUCCEEDED' },
    { id: 'waiting', name: 'probe-run-1-1', run: 'run-1', status: 'RUNNABLE' },
    { id: 'running', name: 'probe-run-1-1', run: 'run-1', status: 'RUNNING', lasts: 3 },
    { id: 'cpu', name: 'prepare-run-1', run: 'run-1', queue: 0, status: 'STARTING' },
    { id: 'other', name: 'probe-run-1-1', run: 'run-1-1', status: 'RUNNING' }, // stage of one, name of another
    { id: 'stranger', name: 'probe-run-2-1', run: 'run-2', status: 'RUNNING' },
  ]);
  expect(await stopRun(...clients, EXECUTION, options)).toEqual({ run: 'run-1', wasRunning: true, jobs: 3 });
  expect(told.sort()).toEqual(['cpu', 'running', 'waiting']);
  expect(stopped()).toEqual([EXECUTION]);
});

it('takes a queue that a later deployment has deleted for an empty one', async () => {
  const told = fakeBatch([{ id: 'running', name: 'probe-run-1-1', run: 'run-1', queue: 0, status: 'RUNNING' }]);
  const refused = (message: string) => Object.assign(new Error(message), { name: 'ClientException' });
  batch.on(ListJobsCommand, { jobQueue: QUEUES[1] }).rejects(refused(`JobQueue ${QUEUES[1]} not found.`));
  expect(await stopRun(...clients, EXECUTION, options)).toEqual({ run: 'run-1', wasRunning: true, jobs: 1 });
  expect(told).toEqual(['running']);
  batch.on(ListJobsCommand, { jobQueue: QUEUES[1] }).rejects(refused('Too many of something'));
  await expect(stopRun(...clients, EXECUTION, options)).rejects.toThrow(/Cannot look at the jobs: .*Too many/);
});

it('ends the training jobs of the run on SageMaker, and no other', async () => {
  const run = 's3://lake/runs/run-1';
  const told = fakeSageMaker([
    { name: 'run-1-0-aaaaaaaa', run, status: 'Completed' },
    { name: 'run-1-1-bbbbbbbb', run, status: 'InProgress', lasts: 3 },
    { name: 'run-1-1-cccccccc', run, status: 'InProgress' },
    { name: 'run-1-1-dddddddd', run, status: 'Stopping', lasts: 2 }, // by Step Functions
    { name: 'run-1-1-0-eeeeeeee', run: 's3://lake/runs/run-1-1', status: 'InProgress' },
    { name: 'my-run-1-0-ffffffff', run: 's3://lake/runs/my-run-1', status: 'InProgress' },
    { name: 'run-1-0-99999999', run: 's3://other/runs/run-1', role: 'arn:other', status: 'InProgress' },
  ]);
  expect(await stopRun(...clients, EXECUTION, options)).toEqual({ run: 'run-1', wasRunning: true, jobs: 3 });
  expect(told.sort()).toEqual(['run-1-1-bbbbbbbb', 'run-1-1-cccccccc']);
});

it('tolerates a training job that ends by itself, and names one that does not end', async () => {
  const run = 's3://lake/runs/run-1';
  fakeSageMaker([{ name: 'run-1-1-bbbbbbbb', run, status: 'InProgress' }]);
  const ended = Object.assign(new Error('it is Completed'), { name: 'ValidationException' });
  sagemaker.on(StopTrainingJobCommand).rejects(ended);
  await expect(stopRun(...clients, EXECUTION, { ...options, looks: 3 })).rejects.toThrow(
    /still there: run-1-1-bbbbbbbb\. /,
  );
  sagemaker.on(StopTrainingJobCommand).rejects(Object.assign(new Error('no'), { name: 'AccessDeniedException' }));
  await expect(stopRun(...clients, EXECUTION, options)).rejects.toThrow(/Cannot stop run-1-1-bbbbbbbb: AccessDenied/);
});

it('leaves the jobs to another execution that works on the run', async () => {
  const other = EXECUTION.replace('run-1', 'other');
  sfn
    .on(ListExecutionsCommand, { stateMachineArn: MACHINE, statusFilter: 'RUNNING' })
    .resolves({ executions: [{ executionArn: other, name: 'other' } as never] });
  sfn.on(DescribeExecutionCommand, { executionArn: other }).resolves({ name: 'other', input: '{"runId": "run-1"}' });
  const told = fakeBatch([{ id: 'running', name: 'probe-run-1-1', run: 'run-1', status: 'RUNNING' }]);
  await expect(stopRun(...clients, EXECUTION, options)).rejects.toThrow(ConfigError);
  await expect(stopRun(...clients, EXECUTION, options)).rejects.toThrow(/execution other is working.*mates stop other/);
  expect(told).toEqual([]);
});

it('waits until the jobs have ended, and says which have not', async () => {
  fakeBatch([{ id: 'stuck', name: 'pretrain-run-1-0-main', run: 'run-1', status: 'RUNNING', lasts: 1000 }]);
  const attempt = () => stopRun(...clients, EXECUTION, { ...options, looks: 5 });
  await expect(attempt()).rejects.toThrow(RunError);
  await expect(attempt()).rejects.toThrow(/still there: pretrain-run-1-0-main \(stuck\)/);
});

it('stops the children of the newest map, which would go on submitting, before it looks for jobs', async () => {
  const jobs = [{ id: 'late', name: 'probe-run-1-1', run: 'run-1', status: 'SUCCEEDED' as 'SUCCEEDED' | 'SUBMITTED' }];
  const told = fakeBatch(jobs);
  const map = { executionArn: EXECUTION, stateMachineArn: MACHINE };
  sfn.on(ListMapRunsCommand).resolves({
    mapRuns: [
      { ...map, mapRunArn: 'older', startDate: new Date(1) },
      { ...map, mapRunArn: MAP_RUN, startDate: new Date(2) },
    ],
  });
  let alive = true;
  sfn.on(ListExecutionsCommand, { mapRunArn: MAP_RUN, statusFilter: 'RUNNING' }).callsFake(async () => ({
    executions: alive ? [{ executionArn: 'child' }] : [],
  }));
  sfn.on(StopExecutionCommand, { executionArn: 'child' }).callsFake(async () => {
    alive = false;
    jobs[0]!.status = 'SUBMITTED'; // it had just submitted
    throw new Error('it has ended by itself');
  });
  expect(await stopRun(...clients, EXECUTION, options)).toMatchObject({ jobs: 1 });
  expect(told).toEqual(['late']);
  expect(stopped()).toEqual([EXECUTION, 'child']);
});

it('clears up after an execution that has ended, and lists no jobs where its input names no run', async () => {
  sfn.on(DescribeExecutionCommand).resolves({ status: 'FAILED', name: 'x', input: '{"resumeFrom": "run-1"}' });
  const told = fakeBatch([{ id: 'left', name: 'score-run-1-1', run: 'run-1', status: 'RUNNING' }]);
  expect(await stopRun(...clients, EXECUTION, options)).toEqual({ run: 'run-1', wasRunning: false, jobs: 1 });
  expect(told).toEqual(['left']);
  expect(stopped()).toEqual([]);
  sfn.on(DescribeExecutionCommand).resolves({ status: 'FAILED', name: 'x', input: '{"runid": 1}' });
  expect(await stopRun(...clients, EXECUTION, options)).toEqual({ run: undefined, wasRunning: false, jobs: 0 });
});

it('reads every page of a queue', async () => {
  const tokens: (string | undefined)[] = [];
  batch.on(ListJobsCommand).callsFake(({ nextToken }) => {
    tokens.push(nextToken);
    return { jobSummaryList: [], nextToken: nextToken ? undefined : 'more' };
  });
  await stopRun(...clients, EXECUTION, options);
  expect(tokens.filter((token) => token === 'more')).toHaveLength(20);
});

it('mates stop says what it did and how to go on', async () => {
  fakeBatch([]);
  const target = { stack: 'unused', machine: MACHINE, timeout: 10 };
  const text = await printed(() => stop('run-1', target));
  expect(text).toMatch(/Stopped\. 0 jobs were told to end; none is left\.\n.*mates start --resume run-1/);
}, 20_000);
