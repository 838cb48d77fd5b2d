/** When a resumable job stops by itself, in a process as a container or the local runner starts it. */
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { armLayout } from '../../core/layout.ts';
import { TinyRun, tinyConfig } from './support.ts';

it('saves and exits with 75 when the process that started it has gone', async () => {
  const tiny = await TinyRun.create(tinyConfig({ pretrain: { stepsPerStage: 60, batchRows: 2, microBatchRows: 1 } }));
  await tiny.prepare();
  await tiny.select(await tiny.plan(0));
  const job = fork('containers/main.ts', ['pretrain'], {
    env: { ...process.env, MATES_RUN_URI: tiny.directory },
    execArgv: ['--import', 'tsx'],
    silent: true,
  });
  job.stdout!.once('data', () => job.disconnect()); // the first step is done
  const [code] = await once(job, 'exit');
  expect(code).toBe(75);
  const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
  expect(await tiny.store.list(checkpoint)).toEqual([]);
  expect(await tiny.store.list(partialCheckpoints)).not.toEqual([]);
});

it('saves, exits with 75 before its timeout, and goes on to the end in the next attempt', async () => {
  const tiny = await TinyRun.create();
  const pretrain = (hours: number) =>
    promisify(execFile)('node', ['--import', 'tsx', 'containers/main.ts', 'pretrain'], {
      env: { ...process.env, MATES_RUN_URI: tiny.directory, MATES_DEADLINE_HOURS: String(hours) },
    });
  const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
  await tiny.prepare();
  await tiny.select(await tiny.plan(0));
  await expect(pretrain(1e-9)).rejects.toMatchObject({
    code: 75,
    stderr: expect.stringContaining('InterruptedError: Pretrain of stage 0 stopped after step 0 of 8'),
  });
  expect(await tiny.store.list(partialCheckpoints)).not.toEqual([]);
  await pretrain(1000); // longer than a timer takes
  expect(await tiny.store.list(checkpoint)).not.toEqual([]);
  expect(await tiny.store.list(partialCheckpoints)).toEqual([]);
});

it.each([
  [2, 2 * 3_600_000],
  [1000, 2 ** 31 - 1 - 15 * 60_000], // longer than a timer takes
])('with a deadline of %i hours is told to stop then, and ends a quarter of an hour later', async (hours, deadline) => {
  const tell = `const later = globalThis.setTimeout; globalThis.setTimeout = (act, ms, ...rest) => {
    if (ms > 1e6) console.log('timer', ms);
    return later(act, ms, ...rest);
  };`;
  const preload = `data:text/javascript,${encodeURIComponent(tell)}`;
  const { MATES_RUN_URI: _, ...env } = process.env; // without a run, the job fails once its timers are set
  const job = promisify(execFile)('node', ['--import', 'tsx', '--import', preload, 'containers/main.ts', 'pretrain'], {
    env: { ...env, MATES_DEADLINE_HOURS: String(hours) },
  });
  await expect(job).rejects.toMatchObject({
    code: 1,
    stdout: `timer ${deadline}\ntimer ${deadline + 15 * 60_000}\n`,
    stderr: expect.stringContaining('MATES_RUN_URI is not set'),
  });
});
