import { readFileSync } from 'node:fs';
import {
  DescribeExecutionCommand,
  DescribeMapRunCommand,
  GetExecutionHistoryCommand,
  type HistoryEvent,
  ListExecutionsCommand,
  ListMapRunsCommand,
  SFNClient,
} from '@aws-sdk/client-sfn';
import { beforeEach, describe, expect, it } from 'vitest';
import { status } from '../../bin/deployed/commands/status.ts';
import { watch } from '../../bin/deployed/commands/watch.ts';
import { causeInWords, failureOf } from '../../bin/deployed/execution.ts';
import { followExecution } from '../../bin/deployed/follow.ts';
import { parseConfig } from '../../core/config/load.ts';
import { pricePlan } from '../../core/cost/price.ts';
import { quotaNeeds } from '../../core/cost/quotas.ts';
import { ConfigError, InputError, InterruptedError, RunError } from '../../core/errors.ts';
import {
  EXECUTION,
  entered,
  fakeBatch,
  fakeDefinition,
  fakeSageMaker,
  MACHINE,
  MAP_RUN,
  printed,
  sfn,
} from './support.ts';

const target = { stack: 'unused', machine: MACHINE };
const client = new SFNClient({});

/** The history as the service would page it, newest first, two events a page. */
function fakeHistory(events: HistoryEvent[]): void {
  sfn.on(GetExecutionHistoryCommand).callsFake(({ nextToken }) => {
    const newest = [...events].reverse();
    const from = Number(nextToken ?? 0);
    return { events: newest.slice(from, from + 2), nextToken: from + 2 < newest.length ? String(from + 2) : undefined };
  });
}

beforeEach(() => sfn.reset());

describe('following an execution', () => {
  const mapRun = { id: 5, type: 'MapRunStarted', mapRunStartedEventDetails: { mapRunArn: MAP_RUN } } as HistoryEvent;
  const checked = { name: 'Validate the run', output: JSON.stringify({ warnings: ['the disk is too small.'] }) };
  const story: HistoryEvent[] = [
    entered(1, 'Validate the run', {}),
    { id: 1.5, type: 'TaskStateExited', timestamp: undefined, stateExitedEventDetails: checked } as HistoryEvent,
    entered(2, 'Is this a dry run?', {}, 'ChoiceStateEntered'),
    entered(3, 'Prepare the corpus', { stage: 0 }),
    entered(4, 'Probe the influence', { stage: 1 }, 'MapStateEntered'),
    mapRun,
    { id: 6, type: 'MapRunSucceeded', timestamp: undefined },
    entered(7, 'Pretrain', { stage: 1, arm: 'control' }),
    entered(8, 'Finish the run', { stage: 2, stages: 2 }),
  ];

  it('outlasts a network that is away, and says that the execution goes on when it can no longer be seen', async () => {
    fakeHistory([]);
    const away = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    const expired = Object.assign(new Error('old'), { name: 'ExpiredTokenException' });
    const looks: (string | Error)[] = ['RUNNING', away, away, 'RUNNING', away, 'SUCCEEDED'];
    sfn.on(DescribeExecutionCommand).callsFake(() => {
      const next = looks.shift()!;
      if (next instanceof Error) throw next;
      return { status: next };
    });
    const said: string[] = [];
    const view = { heading: () => {}, notice: (text: string) => said.push(text), update: () => {} };
    const follow = () =>
      followExecution(client, EXECUTION, { view, signal: new AbortController().signal, sleep: async () => {} });
    expect((await follow()).status).toBe('SUCCEEDED');
    expect(said).toHaveLength(2); // once each time that it went away
    expect(said[0]).toMatch(/^Warning: Cannot look at the execution: .*socket hang up.* the execution goes on\.$/);

    looks.push('RUNNING', expired);
    const lost = await follow().catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(InterruptedError);
    expect((lost as Error).message).toMatch(
      /credentials have expired: sign in again\. No longer watching; the execution/,
    );

    looks.push(expired); // never seen: nothing is known of it
    await expect(follow()).rejects.toThrow(ConfigError);
  });

  it('reports each step once, in order, and how far a map has got', async () => {
    const events: HistoryEvent[] = [];
    fakeHistory(events);
    const looks = [story.slice(0, 4), story.slice(4, 6), story.slice(6)];
    let look = 0;
    const more = () => events.push(...(looks[look++] ?? []));
    sfn.on(DescribeExecutionCommand).callsFake(() => {
      more();
      return { status: look > looks.length ? 'SUCCEEDED' : 'RUNNING' };
    });
    const itemCounts = { total: 8, succeeded: 3, running: 2, failed: 1 };
    sfn.on(DescribeMapRunCommand).resolves({ status: 'RUNNING', itemCounts } as object);
    const said: string[] = [];
    const ended = await followExecution(client, EXECUTION, {
      view: {
        heading: (text) => said.push(text),
        notice: (text) => said.push(text),
        update: (_, { step, done, total, note }) => said.push(`${step} ${done}/${total} ${note}`),
      },
      signal: new AbortController().signal,
      sleep: async () => {},
    });
    expect(ended.status).toBe('SUCCEEDED');
    const bar = 'Probe the influence 3/8 2 running, 1 failed';
    expect(said).toEqual([
      '12:00:01 Validate the run',
      'Warning: the disk is too small.',
      '12:00:03 Stage 0: Prepare the corpus',
      '12:00:04 Stage 1: Probe the influence',
      bar,
      bar,
      '12:00:07 Stage 1: Pretrain (control)',
      '12:00:08 Finish the run',
    ]);
  });

  it('ends when it is interrupted, and the execution goes on', async () => {
    sfn.on(DescribeExecutionCommand).resolves({ status: 'RUNNING' });
    fakeHistory([]);
    const options = {
      view: { heading: () => {}, notice: () => {}, update: () => {} },
      signal: AbortSignal.abort(),
      sleep: async () => {},
    };
    await expect(followExecution(client, EXECUTION, options)).rejects.toThrow(InterruptedError);
  });
});

describe('mates watch', () => {
  beforeEach(() => fakeHistory([]));

  it('ends with the links of the output', async () => {
    const output = { run: { id: 'run-1', uri: 's3://lake/runs/run-1' }, links: { report: 'https://report' } };
    sfn.on(DescribeExecutionCommand).resolves({ status: 'SUCCEEDED', output: JSON.stringify(output) });
    const text = await printed(() => watch('run-1', target));
    expect(text).toMatch(
      /Run run-1 is done: s3:\/\/lake\/runs\/run-1\n {2}execution: https:.*\n {2}report: https:\/\/report/,
    );
    const json = JSON.parse(await printed(() => watch(EXECUTION, { ...target, json: true })));
    expect(json).toMatchObject({ run: output.run, links: { report: 'https://report' } });
  });

  it('shows what a dry run would take, and what does not fit', async () => {
    const config = parseConfig(JSON.parse(readFileSync('examples/smoke.json', 'utf8')), 'smoke');
    const plan = { ...pricePlan(config), quotas: quotaNeeds(config, {}) };
    const output = { run: { id: 'run-1' }, plan, warnings: ['the disk is too small.'] };
    sfn.on(DescribeExecutionCommand).resolves({ status: 'SUCCEEDED', output: JSON.stringify(output) });
    const text = await printed(() => watch('run-1', target));
    expect(text).toMatch(
      /Run run-1 would be:\n.* steps on .* tokens\n {2}g6\.xlarge: .* h, \$\S+ on demand, \$\S+ on spot/,
    );
    expect(text).toContain('L-3819A6DF');
  });

  it("ends with the failure's own error and message", async () => {
    const cause = JSON.stringify({
      errorType: 'ConfigError',
      errorMessage: 'config: stages: unknown field',
      trace: [],
    });
    sfn.on(DescribeExecutionCommand).resolves({ status: 'FAILED', error: 'ConfigError', cause });
    await expect(watch('run-1', target)).rejects.toThrow(new ConfigError('config: stages: unknown field'));
  });
});

describe('a failure', () => {
  const failed = (error: string, cause: string) =>
    failureOf(client, { executionArn: EXECUTION, status: 'FAILED', error, cause } as never);

  it('has the class that mates run would have ended with', async () => {
    expect(await failed('InputError', '{"errorMessage": "no such file"}')).toEqual(new InputError('no such file'));
    expect(await failed('CostCapReached', 'too much')).toEqual(new RunError('CostCapReached: too much'));
  });

  it('of a job says which, its exit code and its log', () => {
    const cause = {
      JobName: 'probe-r-1',
      StatusReason: 'Essential container exited',
      Container: { ExitCode: 1, LogStreamName: 'probe/x' },
    };
    expect(causeInWords(JSON.stringify(cause))).toBe(
      'the job probe-r-1 failed with exit code 1: Essential container exited. Its log stream: probe/x',
    );
    const training = { TrainingJobName: 'run-1-0-aaaaaaaa', FailureReason: 'AlgorithmError: exit code 2' };
    expect(causeInWords(JSON.stringify(training))).toMatch(
      /^the training job run-1-0-aaaaaaaa failed: AlgorithmError: exit code 2\. .*\/aws\/sagemaker\/TrainingJobs$/,
    );
    expect(causeInWords(undefined)).toBe('no cause was given');
  });

  it('of a map is that of its first failed child', async () => {
    const old = { mapRunArn: 'old', executionArn: EXECUTION, stateMachineArn: MACHINE, startDate: new Date(1) };
    const mapRuns = [old, { ...old, mapRunArn: MAP_RUN, startDate: new Date(2) }];
    sfn.on(ListMapRunsCommand).resolves({ mapRuns });
    sfn.on(ListExecutionsCommand, { mapRunArn: MAP_RUN, statusFilter: 'FAILED' }).resolves({
      executions: [
        { executionArn: 'child', stateMachineArn: MACHINE, name: 'c', status: 'FAILED', startDate: new Date() },
      ],
    });
    sfn.on(DescribeExecutionCommand, { executionArn: 'child' }).resolves({
      status: 'FAILED',
      error: 'States.TaskFailed',
      cause: '{"JobName": "score-r-1", "StatusReason": "gone"}',
    });
    const failure = await failed('States.ExceedToleratedFailureThreshold', 'too many');
    expect(failure.message).toMatch(/the job score-r-1 failed: gone/);
  });

  it('of a stopped execution says how to go on', async () => {
    const failure = await failureOf(client, { status: 'ABORTED', name: 'x', input: '{"resumeFrom": "r"}' } as never);
    expect(failure).toBeInstanceOf(InterruptedError);
    expect(failure.message).toContain('mates start --resume r');
  });
});

describe('mates status', () => {
  it('shows an execution on one screen', async () => {
    fakeDefinition();
    fakeBatch([
      { id: '1', name: 'probe-run-1-1', run: 'run-1', status: 'RUNNABLE', reason: 'UNDETERMINED - it is blocked' },
      { id: '2', name: 'probe-run-1-1', run: 'run-1-1', status: 'RUNNING' },
    ]);
    fakeSageMaker([{ name: 'run-1-0-aaaaaaaa', run: 's3://lake/runs/run-1', status: 'InProgress' }]);
    fakeHistory([
      entered(1, 'Probe the influence', { stage: 1 }, 'MapStateEntered'),
      { id: 2, type: 'MapRunStarted', mapRunStartedEventDetails: { mapRunArn: MAP_RUN }, timestamp: undefined },
    ]);
    sfn
      .on(DescribeMapRunCommand)
      .resolves({ status: 'RUNNING', itemCounts: { total: 8, succeeded: 3, running: 2, failed: 0 } } as object);
    sfn.on(DescribeExecutionCommand).resolves({ status: 'RUNNING', name: 'run-1', input: '{}', startDate: new Date() });
    const text = await printed(() => status('run-1', target));
    expect(text).toMatch(/Stage 1: Probe the influence/);
    expect(text).toMatch(/3 of 8 jobs done, 2 running/);
    expect(text.match(/probe-run-1-1: \w+/g)).toEqual(['probe-run-1-1: RUNNABLE']);
    expect(text).toContain('(UNDETERMINED - it is blocked)');
    expect(text).toContain('run-1-0-aaaaaaaa: InProgress');
    expect(text.split('\n').length).toBeLessThan(25);
  });

  it('lists the last executions of the machine', async () => {
    sfn.on(ListExecutionsCommand, { stateMachineArn: MACHINE }).resolves({
      executions: [
        {
          executionArn: EXECUTION,
          stateMachineArn: MACHINE,
          name: 'run-1',
          status: 'SUCCEEDED',
          startDate: new Date(0),
          stopDate: new Date(3_723_000),
        },
      ],
    });
    expect(await printed(() => status(undefined, { ...target, machine: `${MACHINE}:live` }))).toMatch(
      /run-1.*SUCCEEDED.*1 h 02 min/,
    );
  });
});
