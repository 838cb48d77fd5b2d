/** Documents on their way to their shards: appended to temporary files of each shard, read back shard by shard. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { appendRecords, readRecords } from './record-file.ts';

export interface SpooledDocument {
  /** Number of the document's domain, in the order in which domains were first seen. */
  domain: number;
  id: string;
  text: string;
}

/** What tells documents apart, kept in a file of its own so that it can be read without the texts. */
export interface SpooledMark {
  /** 16 bytes; the same in documents of the same text. */
  digest: Buffer;
  /** Number of the input file. */
  file: number;
  domain: number;
}

/** Bytes held back over all shards before they are written: few large appends, whatever the number of shards. */
const BUFFER_BYTES = 64 << 20;

/** Roughly what Node holds for each buffer besides its bytes; documents may be shorter than that. */
const BUFFER_OVERHEAD = 200;

/** A record is domain, length of the id and length of the text (uint32 little-endian), id, text. */
const HEADER_BYTES = 12;

/** A mark is the digest, the file and the domain (uint32 little-endian). */
const MARK_BYTES = 24;

export class Spool {
  /** Bytes of each shard's records. */
  readonly sizes: number[];
  /** Documents of each shard. */
  readonly counts: number[];
  private readonly directory: string;
  private readonly limit: number;
  private readonly buffers: { records: Buffer[]; marks: Buffer[] }[];
  private held = 0;

  /** A spool that another thread has written, for reading. */
  static opened(directory: string, counts: readonly number[]): Spool {
    const spool = new Spool(directory, counts.length);
    for (const [shard, count] of counts.entries()) spool.counts[shard] = count;
    return spool;
  }

  constructor(directory: string, shards: number, bufferBytes = BUFFER_BYTES) {
    this.directory = directory;
    this.limit = bufferBytes;
    this.sizes = new Array<number>(shards).fill(0);
    this.counts = new Array<number>(shards).fill(0);
    this.buffers = this.sizes.map(() => ({ records: [], marks: [] }));
  }

  async append(shard: number, { domain, id, text }: SpooledDocument, digest: Buffer, file: number): Promise<void> {
    const idBytes = Buffer.byteLength(id);
    const textBytes = Buffer.byteLength(text);
    const record = Buffer.allocUnsafe(HEADER_BYTES + idBytes + textBytes);
    record.writeUInt32LE(domain, 0);
    record.writeUInt32LE(idBytes, 4);
    record.writeUInt32LE(textBytes, 8);
    record.write(id, HEADER_BYTES);
    record.write(text, HEADER_BYTES + idBytes);
    const mark = Buffer.allocUnsafe(MARK_BYTES);
    digest.copy(mark);
    mark.writeUInt32LE(file, 16);
    mark.writeUInt32LE(domain, 20);
    const { records, marks } = this.buffers[shard]!;
    records.push(record);
    marks.push(mark);
    this.sizes[shard]! += record.length;
    this.counts[shard]! += 1;
    this.held += record.length + MARK_BYTES + 2 * BUFFER_OVERHEAD;
    if (this.held >= this.limit) await this.flush();
  }

  /** Writes out what is held back; call it before reading. */
  async flush(): Promise<void> {
    for (const [shard, { records, marks }] of this.buffers.entries()) {
      if (records.length === 0) continue;
      await appendRecords(this.path(shard, 'records'), records);
      await appendRecords(this.path(shard, 'marks'), marks);
      this.buffers[shard] = { records: [], marks: [] };
    }
    this.held = 0;
  }

  /** A shard's documents in the order in which they were appended. */
  async *read(shard: number): AsyncGenerator<SpooledDocument, void, undefined> {
    const recordBytes = (bytes: Buffer, at: number) =>
      bytes.length - at < HEADER_BYTES
        ? HEADER_BYTES
        : HEADER_BYTES + bytes.readUInt32LE(at + 4) + bytes.readUInt32LE(at + 8);
    if (this.counts[shard] === 0) return;
    for await (const record of readRecords(this.path(shard, 'records'), recordBytes)) {
      const idEnd = HEADER_BYTES + record.readUInt32LE(4);
      const id = record.toString('utf8', HEADER_BYTES, idEnd);
      yield { domain: record.readUInt32LE(0), id, text: record.toString('utf8', idEnd) };
    }
  }

  /** The marks of a shard's documents, in the same order. */
  async *readMarks(shard: number): AsyncGenerator<SpooledMark, void, undefined> {
    if (this.counts[shard] === 0) return;
    for await (const mark of readRecords(this.path(shard, 'marks'), () => MARK_BYTES))
      yield { digest: mark.subarray(0, 16), file: mark.readUInt32LE(16), domain: mark.readUInt32LE(20) };
  }

  /** Removes a shard's files, which are not read again. */
  async drop(shard: number): Promise<void> {
    for (const kind of ['records', 'marks'] as const) await rm(this.path(shard, kind), { force: true });
  }

  private path(shard: number, kind: 'records' | 'marks'): string {
    return join(this.directory, `${String(shard).padStart(5, '0')}.${kind}`);
  }
}
