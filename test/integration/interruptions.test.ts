/** Jobs that are interrupted, lost or stopped change nothing in the result. */
import { expect, inject, it } from 'vitest';
import { stopRun } from './stop-run.ts';
import {
  alive,
  disturb,
  ended,
  freshId,
  lakeConfig,
  ownRunner,
  processes,
  results,
  resultsOf,
  running,
  start,
} from './support.ts';

const exits = async (run: string, task: string, stage: string) =>
  (await processes(run))
    .filter(({ task: of, environment }) => of === task && environment.MATES_STAGE === stage)
    .map(({ exitCode, statusReason }) => exitCode ?? statusReason);

it.runIf(ownRunner)('two executions at once: one loses its jobs, the other trains on SageMaker', async () => {
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

  expect(await exits(disturbed, 'pretrain', '0')).toEqual([75, 0]);
  const scored = await exits(disturbed, 'score', '1');
  expect(scored.filter((end) => end === 0)).toHaveLength(2);
  expect(scored.filter((end) => /^Host EC2/.test(String(end)))).toHaveLength(2);
  const trained = (await processes(other)).filter(({ task }) => task === 'pretrain');
  expect(trained.map(({ service, exitCode }) => [service, exitCode])).toEqual(Array(3).fill(['sagemaker', 0]));

  const reference = results(inject('reference'));
  expect(await resultsOf(disturbed)).toEqual(reference);
  expect(await resultsOf(other)).toEqual(reference);
  expect([...(await alive(disturbed)), ...(await alive(other))]).toEqual([]);
});

it.runIf(ownRunner)(
  'a stopped run leaves no process, and a new execution of it ends with the same result',
  async () => {
    const run = freshId('stopped');
    const first = await start({ config: lakeConfig() }, run);
    const { pid } = await running(run, 'probe'); // inside a map, the hardest to stop
    await stopRun(first, run);
    expect(await ended(first)).toMatchObject({ status: 'ABORTED' });
    expect((await processes(run)).map((one) => one.pid)).toContain(pid);
    expect(await alive(run)).toEqual([]);

    const again = await ended(await start({ config: lakeConfig(), runId: run }, freshId('resumed')));
    expect(again).toMatchObject({ status: 'SUCCEEDED' });
    expect(await resultsOf(run)).toEqual(results(inject('reference')));
    expect(await alive(run)).toEqual([]);
  },
);
