import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import { DirectoryStore, getJson } from '../../core/storage/index.ts';
import { isRunning } from '../../functions/validate-run/execution-status.ts';
import { type ExecutionRecord, takeRun } from '../../functions/validate-run/lease.ts';

process.env.AWS_REGION ??= 'us-east-1';
const arn = (name: string) => `arn:aws:states:us-east-1:123456789012:execution:Machine:${name}`;

describe('a run', () => {
  let store: DirectoryStore;
  beforeEach(async () => {
    store = new DirectoryStore(await mkdtemp(join(tmpdir(), 'mates-lease-')));
  });
  afterEach(() => rm(new URL(store.uri), { recursive: true, force: true }));
  const holders = async () =>
    Promise.all(
      (await store.list('executions/')).map(async (key) => (await getJson<ExecutionRecord>(store, key)).execution),
    );
  const never = async () => false;
  const always = async () => true;

  it('is taken by the first execution, which may come twice', async () => {
    await takeRun(store, arn('a'), never);
    await takeRun(store, arn('a'), always);
    expect(await holders()).toEqual([arn('a')]);
  });

  it('is refused to another while the one that holds it goes on, with its name and the remedy', async () => {
    await takeRun(store, arn('a'), never);
    await expect(takeRun(store, arn('b'), always)).rejects.toThrow(ConfigError);
    await expect(takeRun(store, arn('b'), always)).rejects.toThrow(
      /the execution a is working on this run since 2\d{3}-.*mates stop a.*runId.*execution:Machine:a$/,
    );
    expect(await holders()).toEqual([arn('a')]);
  });

  it('is taken over from one that has ended, however often', async () => {
    for (let i = 0; i < 12; i++) await takeRun(store, arn(`e${i}`), never);
    expect(await holders()).toEqual(Array.from({ length: 12 }, (_, i) => arn(`e${i}`)));
    // Whoever comes back after it was taken over has no right to it any more.
    await expect(takeRun(store, arn('e3'), always)).rejects.toThrow(/the execution e11 is working/);
  });

  it('goes to one of many that come at once, be it free or held by one that has ended', async () => {
    const ended = new Set<string>();
    for (const round of ['first', 'second', 'third']) {
      const names = Array.from({ length: 8 }, (_, i) => arn(`${round}-${i}`));
      const taken = await Promise.allSettled(
        names.map((execution) => takeRun(store, execution, async (holder) => !ended.has(holder.execution))),
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

  it('that the service does not know is too new, or its ninety days are over', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('ExecutionDoesNotExist'));
    expect(await isRunning(held(1))).toBe(true);
    expect(await isRunning(held(60 * 24 * 100))).toBe(false);
  });

  it('of another machine counts as one that nobody can tell of', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('AccessDeniedException'));
    await expect(isRunning(held(1))).rejects.toThrow(ConfigError);
    await expect(isRunning(held(1))).rejects.toThrow(/another state machine.*delete the newest file/);
  });

  it('is not taken for ended when the service cannot be asked', async () => {
    sfn.on(DescribeExecutionCommand).rejects(refused('ThrottlingException'));
    await expect(isRunning(held(1))).rejects.toThrow('ThrottlingException');
  });
});
