import { resolve } from 'node:path';
import { isLocalPath } from '../../core/storage/index.ts';

/** A run's or corpus's folder as the stores take it: an absolute path, or its URI as it is. */
export function runUri(path: string): string {
  return isLocalPath(path) ? resolve(path) : path;
}
