/** Jobs that are interrupted, lost or stopped change nothing in the result. */
import { describe, expect, inject, it } from 'vitest';
import { getJson } from '../../core/storage/index.ts';
import type { ExecutionRecord } from '../../functions/validate-run/lease.ts';
import { mates } from '../end-to-end/support.ts';
import {
  alive,
  disturb,
  ended,
  freshId,
  history,
  lakeConfig,
  machineArn,
  ownRunner,
  processes,
  results,
  resultsOf,
  running,
  runStore,
  start,
} from './support.ts';

const reference = results(inject('reference'));

/** How the attempts of a task ended, in order: exit codes, or the reason where there is none. */
async function ends(run: string, task: string, stage: number): Promise<(number | string | undefined)[]> {
  return (await processes(run))
    .filter(({ task: of, environment }) => of === task && environment.MATES_STAGE === String(stage))
    .map(({ exitCode, statusReason }) => exitCode ?? statusReason);
}

/** ARNs of the executions that have worked on a run. */
async function holders(run: string): Promise<string[]> {
  const store = runStore(run);
  const keys = await store.list('executions/');
  return Promise.all(keys.map(async (key) => (await getJson<ExecutionRecord>(store, key)).execution));
}

it('two executions of one run at once: one works on it, the other is refused and changes nothing', async () => {
  const run = freshId('contested');
  const input = { config: lakeConfig(), runId: run };
  const executions = await Promise.all(['a', 'b'].map((which) => start(input, `${run}-${which}`)));
  const results = await Promise.all(executions.map(ended));
  expect(results.map(({ status }) => status).toSorted()).toEqual(['FAILED', 'SUCCEEDED']);
  const winner = results.find(({ status }) => status === 'SUCCEEDED')!;
  const loser = results.find(({ status }) => status === 'FAILED')!;
  expect(loser.error).toBe('ConfigError');
  expect(loser.cause).toContain(`the execution ${winner.name} has been working on this run`);
  const steps = (await history(loser.executionArn!)).flatMap(
    ({ stateEnteredEventDetails }) => stateEnteredEventDetails ?? [],
  );
  expect(steps.map(({ name }) => name)).toEqual(['Validate the run', 'Run failed']);
  expect(await holders(run)).toEqual([winner.executionArn]);
  expect(await resultsOf(run)).toEqual(reference);
});

describe.runIf(ownRunner)('a run', () => {
  it('survives the loss of its jobs, while another trains on SageMaker', async () => {
    const [disturbed, other] = [freshId('disturbed'), freshId('sagemaker')];
    // A spot interruption that the job hears of: it saves and exits 75. Two that it does not: the instance is gone.
    await disturb(disturbed, 'pretrain', { kind: 'interrupt', at: 'output' });
    await disturb(disturbed, 'score', { kind: 'reclaim', at: 'start' }, { kind: 'reclaim', at: 'output' });
    const executions = await Promise.all([
      start({ config: lakeConfig() }, disturbed),
      start({ config: lakeConfig(), trainer: 'sagemaker' }, other),
    ]);
    for (const execution of await Promise.all(executions.map(ended)))
      expect(execution).toMatchObject({ status: 'SUCCEEDED' });

    expect(await ends(disturbed, 'pretrain', 0)).toEqual([75, 0]);
    const scored = await ends(disturbed, 'score', 1);
    expect(scored.filter((end) => end === 0)).toHaveLength(2);
    expect(scored.filter((end) => /^Host EC2/.test(String(end)))).toHaveLength(2);
    const trained = (await processes(other)).filter(({ task }) => task === 'pretrain');
    expect(trained.map(({ service, exitCode }) => [service, exitCode])).toEqual(Array(3).fill(['sagemaker', 0]));

    expect(await resultsOf(disturbed)).toEqual(reference);
    expect(await resultsOf(other)).toEqual(reference);
    expect([...(await alive(disturbed)), ...(await alive(other))]).toEqual([]);
  });

  it.each([
    ['in a map of Batch jobs', 'batch', 'probe'],
    ['in a SageMaker training job', 'sagemaker', 'pretrain'],
  ])('stopped %s by `mates stop` leaves no process, and resumed has the same result', async (_, trainer, task) => {
    const run = freshId('stopped');
    await disturb(run, task, { kind: 'hold', at: 'output' });
    const execution = await start({ config: lakeConfig(), trainer }, run);
    await running(run, task);
    const stopped = await mates('stop', execution, '--machine', machineArn, '--json');
    expect(stopped).toMatchObject({ code: 0, stdout: expect.stringContaining('"wasRunning":true') });
    expect(await ended(execution)).toMatchObject({ status: 'ABORTED' });
    expect(JSON.parse(stopped.stdout.trim().split('\n').at(-1)!).jobs).toBeGreaterThan(0);
    expect(await alive(run)).toEqual([]);
    const before = await processes(run);
    const service = task === 'pretrain' ? trainer : 'batch';
    expect(before.at(-1)).toMatchObject({ task, service });

    const resumed = await mates('start', '--resume', run, '--machine', machineArn, '--trainer', trainer, '--watch');
    expect(resumed).toMatchObject({ code: 0 });
    expect((await processes(run)).length).toBeGreaterThan(before.length);
    expect((await holders(run)).map((arn) => arn === execution)).toEqual([true, false]); // taken over at once
    expect(await resultsOf(run)).toEqual(reference);
    expect(await alive(run)).toEqual([]);
  });
});
