/** How the first process of a container handles signals; a script of one line stands in for the job. */
import { spawn, spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { temporaryFolder } from '../support.ts';

/** Exit code of `mates-job pretrain` over such a job, sent a signal as soon as it has started, or never. */
async function exitCode(job: string, signal?: NodeJS.Signals, temporary = tmpdir()): Promise<number | null> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'node'), `#!/bin/sh\n${job}\n`);
  await chmod(join(folder, 'node'), 0o755);
  const path = folder + delimiter + process.env.PATH;
  const started = spawn('containers/mates-job', ['pretrain'], {
    env: { ...process.env, PATH: path, MATES_STOP_SECONDS: '1', TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.stdout.once('data', () => signal && started.kill(signal));
  return await new Promise((resolve) => started.once('exit', resolve));
}

it('ends with the exit code of its job', async () => {
  expect(await exitCode('echo began; exit 0')).toBe(0);
  expect(await exitCode('echo began; exit 3')).toBe(3);
  expect(await exitCode('echo began; kill -KILL $$')).toBe(137);
});

it('passes a signal on, and waits until the job has dealt with it', async () => {
  const job = "trap 'sleep 0.2; exit 75' TERM; echo began; while :; do sleep 0.05; done";
  expect(await exitCode(job, 'SIGTERM')).toBe(75);
});

it('kills a job that does not stop in time, with the exit code of one that is to be started again', async () => {
  expect(await exitCode("trap '' TERM; echo began; while :; do sleep 0.05; done", 'SIGTERM')).toBe(75);
});

it('restarts a SageMaker job that can go on, as the service takes 75 for a failure', async () => {
  const counted = await temporaryFolder();
  const job = (status: string) =>
    `echo x >> ${counted}/${status}; echo began; [ $(wc -l < ${counted}/${status}) -gt 2 ] || exit ${status}`;
  const starts = async (status: string) => (await readFile(join(counted, status), 'utf8')).length / 2;
  vi.stubEnv('MATES_RETRY_SECONDS', '0');
  try {
    expect([await exitCode(job('75')), await starts('75')]).toEqual([75, 1]); // Batch starts it again itself
    await rm(join(counted, '75'));
    vi.stubEnv('TRAINING_JOB_NAME', 'pretrain-1');
    expect([await exitCode(job('75')), await starts('75')]).toEqual([0, 3]);
    expect([await exitCode(job('2')), await starts('2')]).toEqual([2, 1]);
    expect([await exitCode(`echo x >> ${counted}/all; exit 75`), await starts('all')]).toEqual([75, 10]);
    // Told to stop while it waits, it does not start again.
    vi.stubEnv('MATES_RETRY_SECONDS', '60');
    const stopped = `echo x >> ${counted}/told; (sleep 0.3; echo began) & exit 75`;
    expect([await exitCode(stopped, 'SIGTERM'), await starts('told')]).toEqual([75, 1]);
  } finally {
    vi.unstubAllEnvs();
  }
});

const hasFlock = spawnSync('flock', ['--version']).error === undefined; // macOS has none

it.skipIf(!hasFlock)('gives a job a temporary folder, and removes it and those that killed jobs left', async () => {
  const shared = await temporaryFolder();
  const write = `echo text > "$TMPDIR/spool"; echo began`;
  expect(await exitCode(`${write}; exit 3`, undefined, shared)).toBe(3);
  expect(await exitCode(`${write}; kill -KILL $$`, undefined, shared)).toBe(137);
  expect(await readdir(shared)).toEqual([]);

  // Killed with its container, it leaves the folder behind, and here also the job, which holds the lock until it ends.
  const lives = `echo $$ > ${shared}/pid; ${write}; exec sleep 60`;
  expect(await exitCode(lives, 'SIGKILL', shared)).toBe(null);
  const [left] = (await readdir(shared)).filter((name) => name.startsWith('mates-job.'));
  const anotherRuns = async (minutes: number) => {
    const then = new Date(Date.now() - 60_000 * minutes);
    await utimes(join(shared, left!), then, then);
    await exitCode('echo began', undefined, shared);
    return (await readdir(shared)).includes(left!);
  };
  expect(await anotherRuns(60)).toBe(true);
  const pid = Number(await readFile(join(shared, 'pid'), 'utf8'));
  expect(pid).toBeGreaterThan(1); // 0 would be this process's group
  process.kill(pid, 'SIGKILL');
  expect(await anotherRuns(1)).toBe(true); // as if it had just been made
  await vi.waitUntil(() => anotherRuns(60).then((there) => !there));
});
