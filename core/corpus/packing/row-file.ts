/** A shard's rows on their way to its files: in a temporary file until the number of the first of them is known. */
import { rm } from 'node:fs/promises';
import { bytesOf } from '../../bytes.ts';
import type { Row } from './pack.ts';
import { appendRecords, readRecords } from './record-file.ts';

/** Bytes held back before they are written. */
const BUFFER_BYTES = 4 << 20;

/** A record is the length of its JSON and the tokens (all uint32), then domain and documents as JSON. */
const LENGTH_BYTES = 4;

/** Written once by `add` and `flush`, read once by `read`, then removed. A few megabytes of it are in memory. */
export class RowFile {
  private readonly path: string;
  private readonly tokenBytes: number;
  private waiting: Uint8Array[] = [];
  private held = 0;

  constructor(path: string, sequenceLength: number) {
    this.path = path;
    this.tokenBytes = sequenceLength * Uint32Array.BYTES_PER_ELEMENT;
  }

  async add({ tokens, domain, documents }: Row): Promise<void> {
    const rest = Buffer.from(JSON.stringify([domain, documents]));
    const length = Buffer.allocUnsafe(LENGTH_BYTES);
    length.writeUInt32LE(rest.length);
    this.waiting.push(length, bytesOf(tokens), rest);
    this.held += LENGTH_BYTES + this.tokenBytes + rest.length;
    if (this.held >= BUFFER_BYTES) await this.flush();
  }

  /** Writes out what is held back; call it before reading. */
  async flush(): Promise<void> {
    await appendRecords(this.path, this.waiting);
    this.waiting = [];
    this.held = 0;
  }

  /** The rows in the order in which they were added. */
  async *read(): AsyncGenerator<Row, void, undefined> {
    const { tokenBytes } = this;
    const recordBytes = (bytes: Buffer, at: number) =>
      LENGTH_BYTES + (bytes.length - at < LENGTH_BYTES ? 0 : tokenBytes + bytes.readUInt32LE(at));
    for await (const record of readRecords(this.path, recordBytes)) {
      const tokens = new Uint32Array(tokenBytes / Uint32Array.BYTES_PER_ELEMENT);
      bytesOf(tokens).set(record.subarray(LENGTH_BYTES, LENGTH_BYTES + tokenBytes));
      const [domain, documents] = JSON.parse(record.toString('utf8', LENGTH_BYTES + tokenBytes));
      yield { tokens, domain, documents };
    }
  }

  remove(): Promise<void> {
    return rm(this.path, { force: true });
  }
}
