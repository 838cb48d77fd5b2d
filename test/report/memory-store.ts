import { NotFoundError, type Store, type StoreOpener } from '../../core/storage/index.ts';

/** Stores that live in one map, for tests that write many small files: a directory would sync each to the disk. */
export function memoryOpener(): StoreOpener {
  const files = new Map<string, Uint8Array>();
  return (uri): Store => {
    const path = (key: string) => `${uri}/${key}`;
    const put = async (key: string, bytes: Uint8Array | string) => {
      files.set(path(key), typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes);
    };
    return {
      uri,
      put,
      async get(key) {
        const bytes = files.get(path(key));
        if (!bytes) throw new NotFoundError(path(key));
        return bytes;
      },
      async putIfAbsent(key, bytes) {
        if (files.has(path(key))) return false;
        await put(key, bytes);
        return true;
      },
      size: async (key) => files.get(path(key))?.length,
      list: async (prefix) =>
        [...files.keys()]
          .filter((at) => at.startsWith(path(prefix)))
          .map((at) => at.slice(uri.length + 1))
          .sort(),
      async delete(key) {
        files.delete(path(key));
      },
    };
  };
}
