import { randomUUID } from 'node:crypto';
import { mkdir, readFile, realpath, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { isAlive, isAtWork, type ProcessMark, thisProcess } from '../core/processes.ts';
import { isLocalPath, localPath } from '../core/storage/index.ts';

/** What a lock file says about its process. A lock file of an earlier version has only the process id. */
interface Holder extends Omit<ProcessMark, 'host'> {
  host?: string;
  /** ISO 8601. */
  since?: string;
}

/** How often a process refreshes its lock, and when one whose id cannot be looked up counts as dead for lack of it. */
const REFRESH_MS = 10_000;
const SILENT_MS = 60_000;

/** The locks of this process. */
const held = new Set<string>();

/**
 * Keeps two processes from writing to one folder, even from two containers or machines. The lock of a killed process is
 * taken over: at once if its id can be looked up, otherwise after a minute without a sign of it.
 *
 * @param otherwise what else the user of a second process can do, for the message.
 * @returns a function that removes the lock.
 */
export async function lockFolder(folder: string, otherwise: string): Promise<() => Promise<void>> {
  const path = join(await realpath(folder), '.lock');
  const self: Holder = { ...thisProcess(), since: new Date().toISOString() };
  const own = `${JSON.stringify(self)}\n`;
  const refusal = (holder: Holder | undefined) => {
    const { pid, host = hostname(), since } = holder ?? {};
    const who = pid === undefined ? 'another process' : `process ${pid} on ${host}`;
    const canTell = holder?.host === undefined || isAtWork({ ...holder, host }) !== undefined;
    const wait = canTell ? '' : ' If it has ended, give the same command again in a minute.';
    return new ConfigError(
      `${folder}: ${who} is writing to it (lock file ${path}${since ? `, since ${since}` : ''}); ` +
        `wait for it, stop it, or ${otherwise}.${wait}`,
    );
  };
  if (held.has(path)) throw refusal(self);
  held.add(path);
  try {
    for (let attempt = 0; !(await created(path, own)); attempt++) {
      const found = await contentOf(path);
      const holder = holderIn(found);
      if (attempt > 0 || (holder && (await isHeld(holder, path)))) throw refusal(holder);
      await removeStale(path, found);
    }
  } catch (error) {
    held.delete(path);
    throw error;
  }
  const isOwn = async () => (await contentOf(path)) === own;
  // Writing sets the time by the clock of the folder's file system, whatever this machine's clock says.
  const refresh = async () => (await isOwn()) && (await writeFile(path, own, { flag: 'r+' }).catch(() => {}));
  const timer = setInterval(refresh, REFRESH_MS).unref();
  return async () => {
    clearInterval(timer);
    if (await isOwn()) await unlink(path).catch(() => {});
    held.delete(path);
  };
}

/** Whether this process now has the lock. */
async function created(path: string, own: string): Promise<boolean> {
  try {
    await writeFile(path, own, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  // Another process that saw the file while it was still empty may have taken it for a dead process's.
  return (await contentOf(path)) === own;
}

/** Removes a dead process's lock. If another process has replaced it since it was read, the new one is put back. */
async function removeStale(path: string, stale: string): Promise<void> {
  const moved = `${path}-${randomUUID()}`;
  try {
    await rename(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // another process has removed it
    throw error;
  }
  const content = await contentOf(moved);
  if (content !== stale) await writeFile(path, content, { flag: 'wx' }).catch(() => {});
  await unlink(moved);
}

const contentOf = (path: string) => readFile(path, 'utf8').catch(() => '');

/** Undefined if the process died before it had written the content. */
function holderIn(content: string): Holder | undefined {
  try {
    const value = JSON.parse(content) as number | Holder;
    return typeof value === 'number' ? { pid: value } : value;
  } catch {
    return undefined;
  }
}

async function isHeld({ host, ...holder }: Holder, path: string): Promise<boolean> {
  // A dead process may have had the id that this one has now, as in a container that is started again.
  if (host === undefined) return holder.pid !== process.pid && isAlive(holder.pid);
  return isAtWork({ host, ...holder }) ?? (await wasRefreshed(path));
}

/** By the clock of the file system: for a shared folder that is another machine's. */
async function wasRefreshed(path: string): Promise<boolean> {
  const beside = `${path}-${randomUUID()}`;
  await writeFile(beside, '');
  try {
    const lock = await stat(path).catch(() => undefined); // it may have been removed
    return lock !== undefined && (await stat(beside)).mtimeMs - lock.mtimeMs < SILENT_MS;
  } finally {
    await unlink(beside);
  }
}

/**
 * As {@link lockFolder}, for a folder that may not exist yet, or that may be on S3, where nothing is locked. Folders that were
 * made for the lock, and that nothing else was written to, are removed with it.
 *
 * @throws ConfigError also when a file is in its place.
 */
export async function lockPath(path: string, otherwise: string): Promise<() => Promise<void>> {
  if (!isLocalPath(path)) return async () => {};
  const folder = localPath(path);
  const made = await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' && error.code !== 'ENOTDIR') throw error;
    throw new ConfigError(`${path}: a file has the name of this folder, or of one above it; move it, or ${otherwise}.`);
  });
  const unlock = await lockFolder(folder, otherwise);
  return async () => {
    await unlock();
    if (made !== undefined) await removeEmpty(resolve(folder), resolve(made));
  };
}

/** Removes a folder and those above it, up to `top`, as far as they are empty. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  try {
    for (let at = folder; ; at = dirname(at)) {
      await rmdir(at);
      if (at === top) return;
    }
  } catch {
    // Something is in it.
  }
}
