import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { isLocalPath } from '../core/storage/index.ts';

/**
 * Keeps two processes from writing to one folder. The lock names its process, so that one left by a killed process is
 * taken over.
 *
 * @param otherwise what else a second process can do.
 * @returns what takes the lock away.
 */
export async function lockFolder(folder: string, otherwise: string): Promise<() => Promise<void>> {
  const path = join(folder, '.lock');
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
      return () => unlink(path).catch(() => {});
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(await readFile(path, 'utf8').catch(() => ''));
      if (attempt > 0 || isAlive(owner))
        throw new ConfigError(`${folder}: process ${owner} is writing to it; wait for it, stop it, or ${otherwise}.`);
      await unlink(path).catch(() => {});
    }
  }
}

/** The same of a folder that may be on S3, where nothing is locked, or not be there yet. */
export async function lockPath(path: string, otherwise: string): Promise<() => Promise<void>> {
  if (!isLocalPath(path)) return async () => {};
  const folder = resolve(path);
  await mkdir(folder, { recursive: true });
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
