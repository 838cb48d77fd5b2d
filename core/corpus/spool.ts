/** Documents on their way to their shards: appended to one temporary file a shard, read back shard by shard. */
import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';

export interface SpooledDocument {
  /** Number of the document's domain, in the order in which domains were first seen. */
  domain: number;
  id: string;
  text: string;
}

/** Held back over all shards before it is written: few large appends, whatever the number of shards. */
const BUFFER_BYTES = 64 << 20;

/** Read at a time; a record may be longer. */
const READ_BYTES = 4 << 20;

/** A record is domain, length of the id and length of the text (uint32 little-endian), id, text. */
const HEADER_BYTES = 12;

export class Spool {
  /** Bytes of each shard. */
  readonly sizes: number[];
  private readonly directory: string;
  private readonly limit: number;
  private readonly buffers: Buffer[][];
  private held = 0;

  constructor(directory: string, shards: number, bufferBytes = BUFFER_BYTES) {
    this.directory = directory;
    this.limit = bufferBytes;
    this.sizes = new Array<number>(shards).fill(0);
    this.buffers = this.sizes.map(() => []);
  }

  async append(shard: number, { domain, id, text }: SpooledDocument): Promise<void> {
    const idBytes = Buffer.byteLength(id);
    const textBytes = Buffer.byteLength(text);
    const record = Buffer.allocUnsafe(HEADER_BYTES + idBytes + textBytes);
    record.writeUInt32LE(domain, 0);
    record.writeUInt32LE(idBytes, 4);
    record.writeUInt32LE(textBytes, 8);
    record.write(id, HEADER_BYTES);
    record.write(text, HEADER_BYTES + idBytes);
    this.buffers[shard]!.push(record);
    this.sizes[shard]! += record.length;
    this.held += record.length;
    if (this.held >= this.limit) await this.flush();
  }

  /** Writes out what is held back; call it before reading. */
  async flush(): Promise<void> {
    for (const [shard, records] of this.buffers.entries()) {
      if (records.length > 0) await appendFile(this.path(shard), Buffer.concat(records));
      this.buffers[shard] = [];
    }
    this.held = 0;
  }

  /** A shard's documents in the order in which they were appended. */
  async *read(shard: number): AsyncGenerator<SpooledDocument, void, undefined> {
    if (this.sizes[shard] === 0) return;
    const file = await open(this.path(shard), 'r');
    try {
      let rest = Buffer.alloc(0);
      for (;;) {
        let at = 0;
        while (rest.length - at >= HEADER_BYTES) {
          const idEnd = at + HEADER_BYTES + rest.readUInt32LE(at + 4);
          const end = idEnd + rest.readUInt32LE(at + 8);
          if (end > rest.length) break;
          const id = rest.toString('utf8', at + HEADER_BYTES, idEnd);
          yield { domain: rest.readUInt32LE(at), id, text: rest.toString('utf8', idEnd, end) };
          at = end;
        }
        const next = Buffer.allocUnsafe(READ_BYTES);
        const { bytesRead } = await file.read(next, 0, READ_BYTES);
        if (bytesRead === 0) return;
        rest = Buffer.concat([rest.subarray(at), next.subarray(0, bytesRead)]);
      }
    } finally {
      await file.close();
    }
  }

  private path(shard: number): string {
    return join(this.directory, `${String(shard).padStart(5, '0')}.spool`);
  }
}
