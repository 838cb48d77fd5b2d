import { mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { lockFolder } from '../../bin/run-lock.ts';
import { ConfigError } from '../../core/errors.ts';

/** What happens between the moment that a lock is read and what is made of it. */
const meanwhile = vi.hoisted(() => ({ happens: undefined as (() => Promise<void>) | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const readFile = async (path: string, encoding: 'utf8') => {
    const text = await real.readFile(path, encoding);
    const { happens } = meanwhile;
    meanwhile.happens = undefined;
    await happens?.();
    return text;
  };
  return { ...real, readFile };
});

const DEAD = 2 ** 22 + 1; // above Linux's and macOS's largest process id

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
  ['has died', `${DEAD}\n`],
  ['had the number of this one, as in a container that is started again', `${process.pid}\n`],
  ['died before it had written its id', ''],
])('is taken over from a process that %s', async (_, content) => {
  await writeFile(join(folder, '.lock'), content);
  const unlock = await lockFolder(folder, 'choose another');
  expect(await readFile(join(folder, '.lock'), 'utf8')).toBe(`${process.pid}\n`);
  await unlock();
});

it('is not taken twice by one process, by whatever name the folder is called', async () => {
  const alias = join(folder, 'alias');
  await symlink(folder, alias);
  const unlock = await lockFolder(folder, 'choose another');
  await expect(lockFolder(alias, 'choose another')).rejects.toThrow(`process ${process.pid} is writing to it`);
  await unlock();
  await (await lockFolder(alias, 'choose another'))();
});

it('of a dead process, which another takes over at the same time, stays with that one', async () => {
  const path = join(folder, '.lock');
  await writeFile(path, `${DEAD}\n`);
  meanwhile.happens = async () => {
    await unlink(path);
    await writeFile(path, `${process.ppid}\n`);
  };
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(`process ${process.ppid} is writing to it`);
  expect(await readFile(path, 'utf8')).toBe(`${process.ppid}\n`);
  expect(await readdir(folder)).toEqual(['.lock']);
});
