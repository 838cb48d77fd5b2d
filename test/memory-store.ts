/** Stores in memory, for tests that write many small files: a directory would sync each to the disk. */
import { type Content, NotFoundError, type Store, type StoreOpener } from '../core/storage/index.ts';

export class MemoryStore implements Store {
  readonly uri: string;
  readonly files: Map<string, Uint8Array>;
  readonly reads: { key: string; bytes: number; ranged: boolean }[] = [];

  constructor(uri = 'memory://run', files = new Map<string, Uint8Array>()) {
    this.uri = uri;
    this.files = files;
  }

  async get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    const file = this.files.get(this.path(key));
    if (!file) throw new NotFoundError(`${this.uri}/${key}`);
    const bytes = range ? file.slice(range.offset, range.offset + range.length) : file.slice();
    this.reads.push({ key, bytes: bytes.length, ranged: range !== undefined });
    return bytes;
  }
  async put(key: string, content: Content): Promise<void> {
    this.files.set(this.path(key), await bytesOf(content));
  }
  async putIfAbsent(key: string, text: string): Promise<boolean> {
    if (this.files.has(this.path(key))) return false;
    await this.put(key, text);
    return true;
  }
  async size(key: string): Promise<number | undefined> {
    return this.files.get(this.path(key))?.length;
  }
  async list(prefix: string): Promise<string[]> {
    const start = this.path('').length;
    const found = [...this.files.keys()].filter((path) => path.startsWith(this.path(prefix)));
    return found.map((path) => path.slice(start)).sort();
  }
  async delete(key: string): Promise<void> {
    this.files.delete(this.path(key));
  }

  /** A place of its own in a map that several stores may share. */
  protected path(key: string): string {
    return key;
  }
}

/** All bytes of what a store is given to write. */
export async function bytesOf(content: Content): Promise<Uint8Array> {
  if (typeof content === 'string') return new TextEncoder().encode(content);
  if (content instanceof Uint8Array) return content.slice();
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}

/** Stores of any URIs in one map. */
export function memoryOpener(): StoreOpener {
  const files = new Map<string, Uint8Array>();
  return (uri) => new PrefixedStore(uri, files);
}

class PrefixedStore extends MemoryStore {
  protected override path(key: string): string {
    return `${this.uri}/${key}`;
  }
}
