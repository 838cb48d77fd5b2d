import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DirectoryStore } from './directory-store.ts';
import { S3Store } from './s3-store.ts';
import type { Store } from './store.ts';

export { DirectoryStore } from './directory-store.ts';
export { S3Store } from './s3-store.ts';
export { getJson, getJsonIfPresent, NotFoundError, putJson, type Store } from './store.ts';

/** Opens the store behind a URI: every module takes one of these, only entry points make them. */
export type StoreOpener = (uri: string) => Store;

/**
 * An opener for `s3://bucket/prefix`, `file:///directory` and plain paths.
 *
 * @param lakeDirectory on one machine, the directory that stands for the bucket `lake`: the same machine definition and
 *   the same `s3://` URIs then run without an account.
 */
export function storeOpener(lakeDirectory?: string): StoreOpener {
  return (uri) => {
    const s3 = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri);
    if (!s3) return new DirectoryStore(uri.startsWith('file:') ? fileURLToPath(uri) : resolve(uri));
    const [, bucket = '', prefix = ''] = s3;
    return lakeDirectory && bucket === LOCAL_LAKE
      ? new DirectoryStore(join(lakeDirectory, prefix))
      : new S3Store(bucket, prefix);
  };
}

/** The bucket's name where the data lake is a directory of this machine. */
export const LOCAL_LAKE = 'lake';

/** The variable by which the local runner tells jobs and handlers where the lake's directory is. */
export const LAKE_DIRECTORY_VARIABLE = 'MATES_LAKE_DIRECTORY';

/** Splits a file's URI or path into the store of its folder and its name. */
export function splitUri(uri: string): { folder: string; name: string } {
  const cut = uri.lastIndexOf('/');
  return cut < 0 ? { folder: '.', name: uri } : { folder: uri.slice(0, cut) || '/', name: uri.slice(cut + 1) };
}
