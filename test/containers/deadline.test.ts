/** The deadline of a job that resumes, in the process that a container starts. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { armLayout } from '../../core/layout.ts';
import { TinyRun } from './support.ts';

it('saves, exits with 75 before its timeout, and goes on to the end in the next attempt', async () => {
  const tiny = await TinyRun.create();
  const pretrain = (hours: number) =>
    promisify(execFile)('node', ['--import', 'tsx', 'containers/main.ts', 'pretrain'], {
      env: { ...process.env, MATES_RUN_URI: tiny.directory, MATES_DEADLINE_HOURS: String(hours) },
    });
  const { checkpoint, partialCheckpoints } = armLayout(0, 'main');
  try {
    await tiny.prepare();
    await tiny.select(await tiny.plan(0));
    await expect(pretrain(1e-9)).rejects.toMatchObject({
      code: 75,
      stderr: expect.stringContaining('InterruptedError: Pretrain of stage 0 stopped after step 1 of 8'),
    });
    expect(await tiny.store.list(partialCheckpoints)).not.toEqual([]);
    await pretrain(1000); // longer than a timer takes
    expect(await tiny.store.list(checkpoint)).not.toEqual([]);
    expect(await tiny.store.list(partialCheckpoints)).toEqual([]);
  } finally {
    await tiny.remove();
  }
});
