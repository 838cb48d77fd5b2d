import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockRun } from '../../bin/run-lock.ts';
import { ConfigError } from '../../core/errors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mates-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('is held by one process, which gives it back', async () => {
  const unlock = await lockRun(folder);
  await expect(lockRun(folder)).rejects.toThrow(ConfigError);
  await expect(lockRun(folder)).rejects.toThrow(`process ${process.pid} is working on this run`);
  await unlock();
  expect(await readdir(folder)).toEqual([]);
});

it.each([
  ['has died', `${2 ** 22 + 1}\n`], // above Linux's and macOS's largest process id
  ['died before it had written its id', ''],
])('is taken over from a process that %s', async (_, content) => {
  await writeFile(join(folder, '.lock'), content);
  const unlock = await lockRun(folder);
  expect(await readFile(join(folder, '.lock'), 'utf8')).toBe(`${process.pid}\n`);
  await unlock();
});
