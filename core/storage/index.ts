import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { InputError } from '../errors.ts';
import { DirectoryStore } from './directory-store.ts';
import { S3Store, s3Client } from './s3-store.ts';
import type { Store, StoreOpener } from './store.ts';

export { DirectoryStore } from './directory-store.ts';
export { ObjectWriter } from './object-writer.ts';
export { OverlayStore } from './overlay-store.ts';
export { copyObject, firstDamaged, hashObject, objectSize, putFile, readPieces } from './pieces.ts';
export { reachable } from './reachable.ts';
export { noSuchFile, readInput } from './read-input.ts';
export { S3Store, s3Client } from './s3-store.ts';
export {
  type Content,
  getJson,
  getJsonIfPresent,
  getRecord,
  getRecordIfPresent,
  jsonText,
  NotFoundError,
  type Pieces,
  putJson,
  requireFormat,
  type Store,
  type StoreOpener,
  splitUri,
} from './store.ts';
export { isTransient } from './transient.ts';

/**
 * An opener for `s3://bucket/prefix`, `builtin:folder`, `file:///directory` and plain paths.
 *
 * @param lakeDirectory on one machine, the directory that stands for the bucket `lake`: the same machine definition and
 *   the same `s3://` URIs then run without an account.
 * @param examples the folder behind `builtin:`; by default this package's own, which a bundle has to bring with it.
 */
export function storeOpener(lakeDirectory?: string, examples = EXAMPLES): StoreOpener {
  const client = s3Client(); // one for all stores: each input file of a corpus opens its own
  return (uri) => {
    if (uri.startsWith(BUILTIN)) {
      const path = uri.slice(BUILTIN.length);
      if (path.split('/').includes('..')) throw new InputError(`${uri}: ${BUILTIN} paths stay inside examples/.`);
      return new DirectoryStore(join(examples, path));
    }
    const s3 = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri);
    // Not taken for a path: `s3:///` would be the root of this machine.
    if (!s3 && /^s3:/i.test(uri)) throw new InputError(`${uri}: expected s3://BUCKET/KEY.`);
    if (!s3) return new DirectoryStore(localPath(uri));
    const [, bucket = '', prefix = ''] = s3;
    return lakeDirectory && bucket === LOCAL_LAKE
      ? new DirectoryStore(join(lakeDirectory, prefix))
      : new S3Store(bucket, prefix, client);
  };
}

/** Begins the URIs of files that come with this package, such as `builtin:corpus/reference.jsonl`. */
const BUILTIN = 'builtin:';
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

/** Whether a path is on the machine that reads it: not on S3, and not in this package. */
export function isLocalPath(uri: string): boolean {
  return !uri.startsWith('s3://') && !uri.startsWith(BUILTIN);
}

/**
 * The absolute path behind a path or `file:` URI of this machine.
 *
 * @throws InputError for a URI that names no file here, such as `file://folder`, whose first part is a host.
 */
export function localPath(uri: string): string {
  if (!uri.startsWith('file:')) return resolve(uri);
  try {
    return fileURLToPath(uri);
  } catch (error) {
    throw new InputError(
      `${uri}: no file of this machine (${(error as Error).message}); write file:///PATH or a path.`,
    );
  }
}

/** A path as jobs and stores take it: made absolute, also from a `file:` URI; other URIs stay. */
export function absolute(path: string): string {
  return isLocalPath(path) ? localPath(path) : path;
}

/** A store's root as a URI, for other programs; messages and our own jobs have a path where it is on this machine. */
export const uriOf = ({ uri }: Store): string => (isLocalPath(uri) ? pathToFileURL(uri).href : uri);

/** The bucket's name where the data lake is a directory of this machine. */
export const LOCAL_LAKE = 'lake';

/** The variable by which the local runner tells jobs and handlers where the lake's directory is. */
export const LAKE_DIRECTORY_VARIABLE = 'MATES_LAKE_DIRECTORY';
