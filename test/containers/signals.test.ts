/** What the first process of a container does with its signals, with a job of one line in the place of Node's. */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, it } from 'vitest';

/** Exit code of `mates-job pretrain` over such a job, told to stop as soon as it has started, or never. */
async function exitCode(job: string, signal?: NodeJS.Signals): Promise<number | null> {
  const folder = await mkdtemp(join(tmpdir(), 'mates-signals-'));
  try {
    await writeFile(join(folder, 'node'), `#!/bin/sh\n${job}\n`);
    await chmod(join(folder, 'node'), 0o755);
    const path = folder + delimiter + process.env.PATH;
    const started = spawn('containers/mates-job', ['pretrain'], {
      env: { ...process.env, PATH: path, MATES_STOP_SECONDS: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.stdout.once('data', () => signal && started.kill(signal));
    return await new Promise((resolve) => started.once('exit', resolve));
  } finally {
    await rm(folder, { recursive: true });
  }
}

it('ends as its job does', async () => {
  expect(await exitCode('echo began; exit 0')).toBe(0);
  expect(await exitCode('echo began; exit 3')).toBe(3);
  expect(await exitCode('echo began; kill -KILL $$')).toBe(137);
});

it('passes a signal on, and waits for what the job makes of it', async () => {
  const job = "trap 'sleep 0.2; exit 75' TERM; echo began; while :; do sleep 0.05; done";
  expect(await exitCode(job, 'SIGTERM')).toBe(75);
});

it('ends a job that cannot stop in time, as one that is to be started again', async () => {
  expect(await exitCode("trap '' TERM; echo began; while :; do sleep 0.05; done", 'SIGTERM')).toBe(75);
});
