import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { lockFolder, lockPath } from '../../bin/run-lock.ts';
import { ConfigError } from '../../core/errors.ts';
import { temporaryFolder } from '../support.ts';

/** What happens after a lock is read and before it is acted upon. */
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
  folder = await temporaryFolder();
});

const holder = async () => JSON.parse(await readFile(join(folder, '.lock'), 'utf8'));

/** Leaves a lock as this process would have written it so many seconds ago, with some fields changed. */
async function leave(change: object, seconds = 0): Promise<void> {
  const unlock = await lockFolder(folder, 'choose another');
  const own = await holder();
  await unlock();
  await writeFile(join(folder, '.lock'), JSON.stringify({ ...own, ...change }));
  const at = Date.now() / 1000 - seconds;
  await utimes(join(folder, '.lock'), at, at);
}

it('is held by one process, which gives it back', async () => {
  const unlock = await lockFolder(folder, 'choose another');
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(ConfigError);
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(
    `process ${process.pid} on ${hostname()} is writing to it (lock file ${join(folder, '.lock')}, since 2`,
  );
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow('); wait for it, stop it, or choose another.');
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
  expect(await holder()).toMatchObject({ pid: process.pid, host: hostname() });
  await unlock();
});

it('is not taken twice by one process, by whatever name the folder is called', async () => {
  const alias = join(folder, 'alias');
  await symlink(folder, alias);
  const unlock = await lockFolder(folder, 'choose another');
  await expect(lockFolder(alias, 'choose another')).rejects.toThrow(
    `process ${process.pid} on ${hostname()} is writing`,
  );
  await unlock();
  await (await lockFolder(alias, 'choose another'))();
});

it('takes the folders with it that were made for it, as far as they are still empty', async () => {
  const runs = join(folder, 'runs');
  await (await lockPath(join(runs, 'a'), 'choose another'))();
  expect(await readdir(folder)).toEqual([]);
  const unlock = await lockPath(join(runs, 'a/b/'), 'choose another');
  await writeFile(join(runs, 'a/file'), '');
  await unlock();
  expect(await readdir(runs, { recursive: true })).toEqual(['a', 'a/file']);
  await mkdir(join(runs, 'c'));
  await (await lockPath(join(runs, 'c'), 'choose another'))();
  expect(await readdir(runs)).toEqual(['a', 'c']);
});

it('of a dead process stays with another process that takes it over at the same moment', async () => {
  const path = join(folder, '.lock');
  await writeFile(path, `${DEAD}\n`);
  meanwhile.happens = async () => {
    await unlink(path);
    await writeFile(path, `${process.ppid}\n`);
  };
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(
    `process ${process.ppid} on ${hostname()} is writing`,
  );
  expect(await readFile(path, 'utf8')).toBe(`${process.ppid}\n`);
  expect(await readdir(folder)).toEqual(['.lock']);
});

describe.skipIf(process.platform !== 'linux')('of a process whose id can be looked for', () => {
  const ofParent = () => readFileSync(`/proc/${process.ppid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19];

  it('stays with it while it is running, however long it has been silent', async () => {
    await leave({ pid: process.ppid, started: ofParent() }, 1000);
    await expect(lockFolder(folder, 'choose another')).rejects.toThrow(`process ${process.ppid} on ${hostname()} is`);
  });

  it.each([
    ['has died', { pid: DEAD }],
    ['had the id that another process has now', { pid: process.ppid, started: '1' }],
    ['had the id of this process', { started: '1' }],
  ])('is taken over at once where the process %s', async (_, change) => {
    await leave(change);
    await (await lockFolder(folder, 'choose another'))();
    expect(await readdir(folder)).toEqual([]);
  });
});

it.each([
  ['another machine', { host: 'elsewhere' }],
  ['another container', { namespace: 'pid:[1]' }],
  ['the time before the machine was started again', { boot: 'earlier' }],
  ['a system that does not tell', { boot: undefined, namespace: undefined, started: undefined }],
])('of a process of %s is taken over once it has been silent for a minute', async (_, change) => {
  await leave({ pid: DEAD, ...change }, 50);
  const { host } = await holder();
  await expect(lockFolder(folder, 'choose another')).rejects.toThrow(
    new RegExp(`process ${DEAD} on ${host} is writing to it \\(lock file .*\\.lock, .* in a minute\\.$`),
  );
  await utimes(join(folder, '.lock'), new Date(Date.now() - 70_000), new Date(Date.now() - 70_000));
  const unlock = await lockFolder(folder, 'choose another');
  expect(await holder()).toMatchObject({ pid: process.pid });
  await unlock();
  expect(await readdir(folder)).toEqual([]);
});

it('is refreshed while it is held, and stays with another process that has taken it over', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const path = join(folder, '.lock');
    const unlock = await lockFolder(folder, 'choose another');
    const content = await readFile(path, 'utf8');
    await utimes(path, 0, 0);
    vi.advanceTimersByTime(10_000);
    while ((await stat(path)).mtimeMs === 0) await new Promise((wake) => setTimeout(wake, 5));
    expect(await readFile(path, 'utf8')).toBe(content);
    await writeFile(path, '{"pid": 1, "host": "elsewhere"}');
    await unlock();
    expect(await holder()).toEqual({ pid: 1, host: 'elsewhere' });
  } finally {
    vi.useRealTimers();
  }
});
