import { resolve } from 'node:path';
import { isLocalPath } from '../core/storage/index.ts';

/** A path on the command line as jobs and stores take it: absolute, or its URI as it is. */
export function absolute(path: string): string {
  return isLocalPath(path) ? resolve(path) : path;
}
