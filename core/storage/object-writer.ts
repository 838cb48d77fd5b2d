import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { FileRecord } from '../formats.ts';
import { putFile } from './pieces.ts';
import type { Store } from './store.ts';

/**
 * Writes an object in pieces that are pushed, for a producer that fills several objects side by side; for a single
 * object, a generator given to {@link putFile} is simpler. Call either `finish` or `abort`.
 */
export class ObjectWriter {
  private readonly pipe = new PassThrough();
  private readonly written: Promise<FileRecord>;

  constructor(store: Store, key: string) {
    this.pipe.on('error', () => {}); // the store's promise reports it
    this.written = putFile(store, key, this.pipe);
    this.written.catch(() => {}); // it is awaited below; until then a failure must not end the process
  }

  /**
   * Hands over a piece, whose bytes must not change. Waits while the store is behind, and throws what it has thrown.
   */
  async write(piece: Uint8Array): Promise<void> {
    if (this.pipe.destroyed) await this.written;
    if (!this.pipe.write(piece)) await Promise.race([once(this.pipe, 'drain'), this.written]);
  }

  /** The object is there when this resolves. */
  async finish(): Promise<FileRecord> {
    this.pipe.end();
    return this.written;
  }

  /** Leaves nothing of the object. */
  async abort(): Promise<void> {
    this.pipe.destroy(new Error('aborted'));
    await this.written.catch(() => {});
  }
}
