import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, realpath, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { InputError } from '../errors.ts';
import { type Content, NotFoundError, type Store } from './store.ts';

/** Marks a file that is still being written; `list` does not show it, a killed writer may leave one behind. */
const PARTIAL = '.partial-';
const PARTIAL_FILE = /\.partial-[0-9a-f]{12}$/;

/** What systems say of a link on exFAT, as USB disks have it, and on some network file systems. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Node refuses to read 2 GiB at once. */
const READ_BYTES = 1 << 30;

/** A directory as a {@link Store}: objects are files, written next to their final place and renamed into it. */
export class DirectoryStore implements Store {
  readonly uri: string;

  constructor(root: string) {
    this.uri = resolve(root); // without a slash at its end
  }

  async get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    const file = await open(this.path(key), 'r').catch((error) => {
      throw error.code === 'ENOENT' || error.code === 'ENOTDIR' ? new NotFoundError(`${this.uri}/${key}`) : error;
    });
    try {
      if (!range) return await file.readFile();
      const bytes = new Uint8Array(range.length);
      let filled = 0;
      while (filled < range.length) {
        const wanted = Math.min(range.length - filled, READ_BYTES);
        const { bytesRead } = await file.read(bytes, filled, wanted, range.offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  }

  async put(key: string, content: Content): Promise<void> {
    const partial = await this.writePartial(key, content);
    try {
      await rename(partial, this.path(key));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async putIfAbsent(key: string, text: string): Promise<boolean> {
    const partial = await this.writePartial(key, text);
    try {
      await linkTo(this.path(key), partial);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(partial, { force: true });
    }
  }

  async size(key: string): Promise<number | undefined> {
    try {
      const found = await stat(this.path(key));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<string[]> {
    const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
    const files = await filesBelow(join(this.uri, folder));
    return files
      .filter((path) => !basename(path).includes(PARTIAL))
      .map((path) => path.slice(this.uri.length + 1))
      .filter((key) => key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async delete(key: string): Promise<void> {
    const path = this.path(key);
    await rm(path, { force: true });
    // An object store has no empty folders, and neither has this.
    for (let folder = dirname(path); folder.startsWith(`${this.uri}${sep}`); folder = dirname(folder)) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false, // it is not empty
      );
      if (!removed) return;
    }
  }

  /**
   * Removes what killed writers have left behind; nothing else may write to the directory meanwhile. It does not follow
   * links to folders, as others may write there.
   */
  async removePartial(): Promise<void> {
    await removePartialBelow(this.uri);
  }

  /** The same for one key, beside others' files. */
  async removePartialOf(key: string): Promise<void> {
    const path = this.path(key);
    const names = await readdir(dirname(path)).catch(() => []);
    for (const name of names)
      if (name.startsWith(basename(path) + PARTIAL) && PARTIAL_FILE.test(name))
        await rm(join(dirname(path), name), { force: true });
  }

  /** @throws InputError for a key that leads out of the directory, as one that was read from a file may. */
  private path(key: string): string {
    const path = join(this.uri, key);
    const within = relative(this.uri, path);
    if (within === '..' || within.startsWith(`..${sep}`))
      throw new InputError(`${key} leads out of ${this.uri}: name a file inside it.`);
    return path;
  }

  private async writePartial(key: string, content: Content): Promise<string> {
    const path = this.path(key);
    const partial = `${path}${PARTIAL}${randomBytes(6).toString('hex')}`;
    const create = async () => {
      await mkdir(dirname(path), { recursive: true });
      return open(partial, 'wx');
    };
    try {
      // Tried twice, as another process may have emptied and removed the folder in between.
      const file = await create().catch((error) => (error.code === 'ENOENT' ? create() : Promise.reject(error)));
      try {
        await writeFile(file, content); // in steps of 512 kB, whatever its form
        await file.sync(); // a rename that outlives a crash must not name empty data
      } finally {
        await file.close();
      }
    } catch (error) {
      await rm(partial, { force: true });
      const failure = error as NodeJS.ErrnoException;
      failure.path ??= path; // a failed write names no file
      throw failure;
    }
    return partial;
  }
}

/** Gives a file a name, atomically, and fails when that is taken; without links there is a moment of an empty file. */
async function linkTo(path: string, file: string): Promise<void> {
  try {
    await link(file, path);
  } catch (error) {
    if (!NO_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await (await open(path, 'wx')).close();
    await rename(file, path);
  }
}

/**
 * Files in a folder and the folders in it, following links; a folder that disappears meanwhile has none.
 *
 * @param above the real paths of the folders that links have led from: a link back to one of these would go on for
 *   ever.
 */
async function filesBelow(folder: string, above: readonly string[] = []): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
  const files = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path, above);
    if (!entry.isSymbolicLink()) return entry.isFile() ? [path] : [];
    // Hugging Face's cache consists of links, and a run's large folders may be on another disk.
    const found = await stat(path).catch(() => undefined); // it may lead nowhere
    if (!found?.isDirectory()) return found?.isFile() ? [path] : [];
    const places = [...above, await realpath(folder)];
    const target = await realpath(path);
    const leadsBack = places.some((place) => place === target || place.startsWith(`${target}${sep}`));
    return leadsBack ? [] : filesBelow(path, [...places, target]);
  });
  return (await Promise.all(files)).flat();
}

async function removePartialBelow(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // Folder by folder, as readdir's own `recursive` follows links from Node 26 on.
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await removePartialBelow(path);
    else if (entry.isFile() && PARTIAL_FILE.test(entry.name)) await rm(path, { force: true });
  }
}
