import { isLocalPath, localPath } from '../core/storage/index.ts';

/** A path on the command line as jobs and stores take it: absolute, also of a `file:` URI, or another URI as it is. */
export function absolute(path: string): string {
  return isLocalPath(path) ? localPath(path) : path;
}
