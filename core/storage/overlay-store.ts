import { type Content, NotFoundError, type Store } from './store.ts';

/**
 * A store that reads from `base` and writes to `scratch`, for work on a finished run that must not change it. What
 * `isHidden` names seems not to be in `base`, so that it is made anew.
 */
export class OverlayStore implements Store {
  readonly uri: string;
  private readonly base: Store;
  private readonly scratch: Store;
  private readonly isHidden: (key: string) => boolean;

  constructor(base: Store, scratch: Store, isHidden: (key: string) => boolean = () => false) {
    this.uri = base.uri;
    this.base = base;
    this.scratch = scratch;
    this.isHidden = isHidden;
  }

  async get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    if ((await this.scratch.size(key)) !== undefined) return this.scratch.get(key, range);
    if (this.isHidden(key)) throw new NotFoundError(`${this.uri}/${key}`);
    return this.base.get(key, range);
  }

  put(key: string, content: Content, bytes?: number): Promise<void> {
    return this.scratch.put(key, content, bytes);
  }

  async putIfAbsent(key: string, text: string): Promise<boolean> {
    if ((await this.size(key)) !== undefined) return false;
    return this.scratch.putIfAbsent(key, text);
  }

  async size(key: string): Promise<number | undefined> {
    return (await this.scratch.size(key)) ?? (this.isHidden(key) ? undefined : this.base.size(key));
  }

  async list(prefix: string): Promise<string[]> {
    const below = (await this.base.list(prefix)).filter((key) => !this.isHidden(key));
    const keys = new Set([...below, ...(await this.scratch.list(prefix))]);
    return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** Deletes only what was written here; what is read from `base` cannot be deleted. */
  delete(key: string): Promise<void> {
    return this.scratch.delete(key);
  }
}
