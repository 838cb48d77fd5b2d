import { isLocalPath, localPath } from '../core/storage/index.ts';

/** A path from the command line as jobs and stores take it: made absolute, also from a `file:` URI; other URIs stay. */
export function absolute(path: string): string {
  return isLocalPath(path) ? localPath(path) : path;
}
