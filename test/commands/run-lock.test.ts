import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockFolder } from '../../bin/run-lock.ts';
import { ConfigError } from '../../core/errors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mates-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('is held by one process, which gives it back', async () => {
  const unlock = await lockFolder(folder, 'choose another');
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(ConfigError);
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(
    `process ${process.pid} is writing to it; wait for it, stop it, or choose another.`,
  );
  await unlock();
  expect(await readdir(folder)).toEqual([]);
});

it.each([
  ['has died', `${2 ** 22 + 1}\n`], // above Linux's and macOS's largest process id
  ['died before it had written its id', ''],
])('is taken over from a process that %s', async (_, content) => {
  await writeFile(join(folder, '.lock'), content);
  const unlock = await lockFolder(folder, 'choose another');
  expect(await readFile(join(folder, '.lock'), 'utf8')).toBe(`${process.pid}\n`);
  await unlock();
});
