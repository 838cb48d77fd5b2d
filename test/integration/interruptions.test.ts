/** Jobs that are interrupted, lost or stopped change nothing in the result. */
import { describe, expect, inject, it } from 'vitest';
import { mates } from '../end-to-end/support.ts';
import {
  alive,
  disturb,
  ended,
  freshId,
  lakeConfig,
  machineArn,
  ownRunner,
  processes,
  results,
  resultsOf,
  running,
  start,
} from './support.ts';

const reference = results(inject('reference'));

/** How the attempts of a task ended, in order: exit codes, or the reason where there is none. */
async function ends(run: string, task: string, stage: number): Promise<(number | string | undefined)[]> {
  return (await processes(run))
    .filter(({ task: of, environment }) => of === task && environment.MATES_STAGE === String(stage))
    .map(({ exitCode, statusReason }) => exitCode ?? statusReason);
}

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

  it('leaves no process after `mates stop`, and ends with the same result after `mates start --resume`', async () => {
    const run = freshId('stopped');
    const execution = await start({ config: lakeConfig() }, run);
    await running(run, 'probe'); // inside a map, the hardest to stop
    const stopped = await mates('stop', execution, '--machine', machineArn, '--json');
    expect(stopped).toMatchObject({ code: 0, stdout: expect.stringContaining('"wasRunning":true') });
    expect(await ended(execution)).toMatchObject({ status: 'ABORTED' });
    expect(await alive(run)).toEqual([]);
    const before = await processes(run);
    expect(before.at(-1)).toMatchObject({ task: 'probe' });

    const resumed = await mates('start', '--resume', run, '--machine', machineArn, '--watch');
    expect(resumed).toMatchObject({ code: 0 });
    expect((await processes(run)).length).toBeGreaterThan(before.length);
    expect(await resultsOf(run)).toEqual(reference);
    expect(await alive(run)).toEqual([]);
  });
});
