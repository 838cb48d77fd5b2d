import { realpathSync, type Stats } from 'node:fs';
import { mkdtemp, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ConfigError, explainSystemError } from '../../core/errors.ts';
import { absolute, isLocalPath } from '../../core/storage/index.ts';

/**
 * Refuses outputs that could not be written in the end, before hours are spent on them.
 *
 * @throws ConfigError that names the flag, if the path is a folder, lies below a file, or cannot be written.
 */
export async function requireFiles(outputs: readonly { flag: string; path: string }[]): Promise<void> {
  for (const { flag, path } of outputs.filter(({ path }) => isLocalPath(path))) {
    const found = await stateOf(absolute(path), flag, path);
    if (found?.isDirectory())
      throw new ConfigError(`${flag} ${path}: that is a folder; name a file, in it or elsewhere.`);
    let folder = dirname(absolute(path));
    while (!(await stateOf(folder, flag, path)) && folder !== dirname(folder)) folder = dirname(folder);
    // Tried out, because owner and permissions do not tell on every file system. The folder matters: files are
    // replaced.
    await mkdtemp(join(folder, '.mates-')).then(rmdir, (error: unknown) => {
      throw refused(flag, path, Object.assign(error as Error, { path: folder }));
    });
  }
}

/** What is at a place; undefined if nothing is. */
function stateOf(place: string, flag: string, path: string): Promise<Stats | undefined> {
  return stat(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw refused(flag, path, error);
  });
}

const refused = (flag: string, path: string, error: unknown) =>
  new ConfigError(`${flag} ${path}: ${explainSystemError(error) ?? (error as Error).message}`);

/** A path that a command reads, and the words that name it. */
export interface Input {
  flag: string;
  path: string;
  isFolder?: boolean;
}

/** @throws ConfigError when an output would replace an input's file, through whatever links either is named. */
export function refuseInputs(outputs: readonly { flag: string; path: string }[], inputs: readonly Input[]): void {
  for (const output of outputs)
    for (const { flag, path, isFolder } of inputs)
      if (placesOf(output.path).some((place) => placesOf(path).some((root) => isWithin(place, root))))
        throw new ConfigError(
          `${output.flag} ${output.path}: that is ${isFolder ? 'in ' : ''}${flag} ${path}, which is read and stays as it is; ` +
            'name a file elsewhere.',
        );
}

/** A path as it was given, and where it really is, or would be. */
function placesOf(path: string): string[] {
  const named = absolute(path);
  if (!isLocalPath(path)) return [named];
  for (const place of [() => realpathSync(named), () => join(realpathSync(dirname(named)), basename(named))])
    try {
      return [named, place()];
    } catch {} // it does not exist yet
  return [named];
}

const isWithin = (path: string, root: string) => path === root || path.startsWith(`${root.replace(/\/+$/, '')}/`);
