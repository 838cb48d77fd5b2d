import { stat } from 'node:fs/promises';
import { ConfigError, explainSystemError } from '../../core/errors.ts';
import { isLocalPath } from '../../core/storage/index.ts';
import { absolute } from '../paths.ts';

/**
 * Refuses what could not be written in the end, before hours are spent on it.
 *
 * @throws ConfigError that names the flag of a folder, or of a file in what is no folder.
 */
export async function requireFiles(outputs: readonly { flag: string; path: string }[]): Promise<void> {
  for (const { flag, path } of outputs.filter(({ path }) => isLocalPath(path))) {
    const found = await stat(absolute(path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new ConfigError(`${flag} ${path}: ${explainSystemError(error) ?? error.message}`);
    });
    if (found?.isDirectory())
      throw new ConfigError(`${flag} ${path}: that is a folder; name a file, there or elsewhere.`);
  }
}
