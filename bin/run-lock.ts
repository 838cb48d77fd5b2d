import { randomUUID } from 'node:crypto';
import { mkdir, readFile, realpath, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { isLocalPath, localPath } from '../core/storage/index.ts';

/** The locks of this process. A lock file that names its process id and is not among them was left by an earlier process. */
const held = new Set<string>();

/**
 * Keeps two processes from writing to one folder. The lock names its process, so that one left by a killed process is
 * taken over, also where that had this one's number, as in a container that is started again.
 *
 * @param otherwise what else a second process can do.
 * @returns what takes the lock away.
 */
export async function lockFolder(folder: string, otherwise: string): Promise<() => Promise<void>> {
  const path = join(await realpath(folder), '.lock');
  const refusal = (owner: number) =>
    new ConfigError(`${folder}: process ${owner} is writing to it; wait for it, stop it, or ${otherwise}.`);
  if (held.has(path)) throw refusal(process.pid);
  held.add(path);
  try {
    for (let attempt = 0; !(await created(path)); attempt++) {
      const found = await contentOf(path);
      const owner = Number(found);
      if (attempt > 0 || (owner !== process.pid && isAlive(owner))) throw refusal(owner);
      await removeStale(path, found);
    }
  } catch (error) {
    held.delete(path);
    throw error;
  }
  return async () => {
    await unlink(path).catch(() => {});
    held.delete(path);
  };
}

/** Whether the lock is this process's now. */
async function created(path: string): Promise<boolean> {
  const own = `${process.pid}\n`;
  try {
    await writeFile(path, own, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  // Another process that has seen the file before it had its content may have taken it for a dead one's.
  return (await contentOf(path)) === own;
}

/** Takes a dead process's lock away; one that another process has made in its place since it was read is put back. */
async function removeStale(path: string, stale: string): Promise<void> {
  const moved = `${path}-${randomUUID()}`;
  try {
    await rename(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // another has taken it away
    throw error;
  }
  const content = await contentOf(moved);
  if (content !== stale) await writeFile(path, content, { flag: 'wx' }).catch(() => {});
  await unlink(moved);
}

const contentOf = (path: string) => readFile(path, 'utf8').catch(() => '');

/**
 * The same of a folder that may be on S3, where nothing is locked, or not be there yet.
 *
 * @throws ConfigError also where a file stands in its place.
 */
export async function lockPath(path: string, otherwise: string): Promise<() => Promise<void>> {
  if (!isLocalPath(path)) return async () => {};
  const folder = localPath(path);
  await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' && error.code !== 'ENOTDIR') throw error;
    throw new ConfigError(`${path}: a file has the name of this folder, or of one above it; move it, or ${otherwise}.`);
  });
  return lockFolder(folder, otherwise);
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
