import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../core/errors.ts';

/**
 * Keeps two processes from working on one run. The lock names its process, so that one left by a killed process is
 * taken over.
 */
export async function lockRun(runDirectory: string): Promise<() => Promise<void>> {
  const path = join(runDirectory, '.lock');
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
      return () => unlink(path).catch(() => {});
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(await readFile(path, 'utf8').catch(() => ''));
      if (attempt > 0 || isAlive(owner))
        throw new ConfigError(
          `${runDirectory}: process ${owner} is working on this run; wait for it, stop it, or choose another --run-id.`,
        );
      await unlink(path).catch(() => {});
    }
  }
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
