import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import {
  copyObject,
  DirectoryStore,
  hashObject,
  NotFoundError,
  ObjectWriter,
  putFile,
  readPieces,
  S3Store,
} from '../../core/storage/index.ts';
import { bytesOf, MemoryStore } from '../memory-store.ts';
import { startModule, temporaryFolder } from '../support.ts';

const MIB = 1 << 20;
const PART = 5 * MIB;

/** Bytes that tell where they belong. */
function pattern(length: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 0x9e3779b1);
  return new Uint8Array(words.buffer, 0, length);
}

/** Bytes cut at the given places, with an empty piece for a place that is given twice. */
async function* cut(bytes: Uint8Array, places: number[]): AsyncGenerator<Uint8Array> {
  const edges = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) yield bytes.subarray(edges[i - 1], edges[i]);
}

/** Pieces that end in an error. */
async function* broken(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield bytes;
  throw error;
}

let root: string;
let directory: DirectoryStore;
beforeEach(async () => {
  root = await temporaryFolder();
  directory = new DirectoryStore(root);
});

describe('a directory', () => {
  it('gets the same file from any cut of the stream', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(400)), async (bytes, places) => {
        await directory.put('a/file', cut(bytes, places));
        expect(new Uint8Array(await directory.get('a/file'))).toEqual(bytes);
      }),
      { numRuns: 40 },
    );
    expect(await readdir(root, { recursive: true })).toEqual(['a', join('a', 'file')]);
  });

  it('keeps what was there when a stream breaks off, and passes its error on', async () => {
    await directory.put('file', 'old');
    const error = new Error('the source is gone');
    await expect(directory.put('file', broken(pattern(1000), error))).rejects.toBe(error);
    await expect(directory.put('new', broken(pattern(1000), error))).rejects.toBe(error);
    expect(await readdir(root)).toEqual(['file']);
    expect(new TextDecoder().decode(await directory.get('file'))).toBe('old');
  });

  it('shows nothing of a writer that was killed', async () => {
    await directory.put('file', 'old');
    const writer = startModule(`
      import { DirectoryStore } from './core/storage/index.ts';
      async function* endless() {
        yield new Uint8Array(${3 * MIB});
        console.log('writing');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      }
      await new DirectoryStore(${JSON.stringify(root)}).put('file', endless());`);
    await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    expect(await readdir(root)).toHaveLength(2); // what it left is there, and counts for nothing
    expect(await directory.list('')).toEqual(['file']);
    await directory.removePartial();
    expect(await readdir(root)).toEqual(['file']);
    expect(new TextDecoder().decode(await directory.get('file'))).toBe('old');
  });
});

describe('S3', () => {
  const s3 = mockClient(S3Client);
  const store = new S3Store('bucket', 'runs/x', async () => new S3Client({ region: 'us-east-1' }), PART);
  let objects: Map<string, Uint8Array>;
  /** Uploads that were neither completed nor aborted, with their parts. */
  let uploads: Map<string, Map<number, Uint8Array>>;

  beforeEach(() => {
    s3.reset();
    objects = new Map();
    uploads = new Map();
    let created = 0;
    s3.on(PutObjectCommand).callsFake(async ({ Key, Body }) => {
      objects.set(Key, Uint8Array.from(Body));
      return {};
    });
    s3.on(CreateMultipartUploadCommand).callsFake(async () => {
      uploads.set(`upload-${++created}`, new Map());
      return { UploadId: `upload-${created}` };
    });
    s3.on(UploadPartCommand).callsFake(async ({ UploadId, PartNumber, Body }) => {
      await new Promise((resolve) => setTimeout(resolve, PartNumber % 2 ? 2 : 0)); // parts do not arrive in order
      uploads.get(UploadId)!.set(PartNumber, Body.slice());
      return { ETag: `part-${PartNumber}` };
    });
    s3.on(CompleteMultipartUploadCommand).callsFake(async ({ Key, UploadId, MultipartUpload }) => {
      const parts = MultipartUpload.Parts.map(({ PartNumber }: { PartNumber: number }) =>
        uploads.get(UploadId)!.get(PartNumber),
      );
      if (parts.slice(0, -1).some((part: Uint8Array) => part.length < PART)) throw new Error('EntityTooSmall');
      objects.set(Key, new Uint8Array(Buffer.concat(parts)));
      uploads.delete(UploadId);
      return {};
    });
    s3.on(AbortMultipartUploadCommand).callsFake(async ({ UploadId }) => {
      uploads.delete(UploadId);
      return {};
    });
  });

  it('gets the same object from any cut of the stream', async () => {
    const size = fc.constantFrom(0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 77);
    await fc.assert(
      fc.asyncProperty(size, fc.array(fc.nat(2 * PART), { maxLength: 12 }), async (length, places) => {
        const bytes = pattern(length);
        await store.put('a', cut(bytes, places));
        await store.put('b', bytes);
        expect(sha256(objects.get('runs/x/a')!)).toBe(sha256(bytes));
        expect(sha256(objects.get('runs/x/b')!)).toBe(sha256(bytes));
        expect(uploads.size).toBe(0);
      }),
      { numRuns: 15 },
    );
  });

  it('gets small objects in one request, and larger ones in parts', async () => {
    await store.put('small', cut(pattern(1000), [10]));
    await store.put('text', 'x');
    expect(s3.commandCalls(CreateMultipartUploadCommand)).toHaveLength(0);
    await store.put('large', pattern(2 * PART + 1));
    const parts = s3.commandCalls(UploadPartCommand).map(({ args }) => args[0].input);
    expect(parts.map(({ PartNumber, Body }) => [PartNumber, (Body as Uint8Array).length]).sort()).toEqual([
      [1, PART],
      [2, PART],
      [3, 1],
    ]);
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(2);
  });

  it('gets larger parts where 10,000 would not be enough', async () => {
    const size = 60_000 * MIB;
    await store.put('huge', cut(pattern(8 * MIB), []), size);
    const first = s3.commandCalls(UploadPartCommand).find(({ args }) => args[0].input.PartNumber === 1)!;
    const partBytes = (first.args[0].input.Body as Uint8Array).length;
    expect(partBytes).toBe(6 * MIB);
    expect(size / partBytes).toBeLessThanOrEqual(10_000);
  });

  it.each([
    ['the source breaks off', (error: Error) => store.put('new', broken(pattern(2 * PART), error))],
    [
      'a part fails',
      (error: Error) => {
        s3.on(UploadPartCommand, { PartNumber: 2 }, false).rejects(error);
        return store.put('new', cut(pattern(4 * PART), []));
      },
    ],
    [
      'the last request fails',
      (error: Error) => {
        s3.on(CompleteMultipartUploadCommand).rejects(error);
        return store.put('new', pattern(2 * PART));
      },
    ],
  ])('is left without the object and without parts when %s', async (_, put) => {
    const error = new Error('no more');
    await expect(put(error)).rejects.toThrow('no more');
    expect(objects.size).toBe(0);
    expect(s3.commandCalls(CreateMultipartUploadCommand)).toHaveLength(1);
    expect(uploads.size).toBe(0);
  });
});

describe('an object that is written piece by piece', () => {
  it('is there when it is finished, with its size and hash', async () => {
    const bytes = pattern(3 * MIB);
    const writer = new ObjectWriter(directory, 'a/file');
    for await (const piece of cut(bytes, [5, 5, MIB, 2 * MIB])) await writer.write(piece);
    expect(await directory.list('')).toEqual([]);
    expect(await writer.finish()).toEqual({ key: 'a/file', bytes: bytes.length, sha256: sha256(bytes) });
    expect(sha256(await directory.get('a/file'))).toBe(sha256(bytes));
    expect(await new ObjectWriter(directory, 'empty').finish()).toMatchObject({ bytes: 0 });
    expect(await directory.size('empty')).toBe(0);
  });

  it('waits while the store is behind', async () => {
    let take = () => {};
    const slow = new MemoryStore();
    let taken = 0;
    slow.put = async (_, content) => {
      for await (const piece of content as AsyncIterable<Uint8Array>) {
        taken += piece.length;
        await new Promise<void>((resolve) => {
          take = resolve;
        });
      }
    };
    const writer = new ObjectWriter(slow, 'x');
    let handed = 0;
    const writing = (async () => {
      for (; handed < 20; handed++) await writer.write(new Uint8Array(100_000));
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(handed).toBeLessThan(4);
    while (handed < 20) {
      take();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await writing;
    const done = writer.finish();
    const timer = setInterval(() => take(), 1);
    await done;
    clearInterval(timer);
    expect(taken).toBe(2_000_000);
  });

  it('does not exist when it is abandoned', async () => {
    const writer = new ObjectWriter(directory, 'file');
    await writer.write(pattern(MIB));
    await writer.abort();
    const untouched = new ObjectWriter(directory, 'other');
    await untouched.abort();
    expect(await readdir(root)).toEqual([]);
  });

  it('passes on the error of the store', async () => {
    await directory.put('file', 'x');
    const writer = new ObjectWriter(directory, 'file/below');
    const writing = async () => {
      for (let i = 0; i < 99; i++) await writer.write(pattern(MIB));
    };
    await expect(writing()).rejects.toThrow(/ENOTDIR|EEXIST/);
    await expect(writer.write(pattern(1))).rejects.toThrow(/ENOTDIR|EEXIST/);
    await expect(writer.finish()).rejects.toThrow(/ENOTDIR|EEXIST/);
    await writer.abort();
  });
});

describe('pieces', () => {
  it('are the object, or its range, whatever their size', async () => {
    const store = new MemoryStore();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.integer({ min: 1, max: 70 }),
        fc.nat(60),
        fc.nat(60),
        async (bytes, pieceBytes, start, count) => {
          await store.put('x', bytes);
          expect(await bytesOf(readPieces(store, 'x', {}, pieceBytes))).toEqual(bytes);
          const offset = Math.min(start, bytes.length);
          const length = Math.min(count, bytes.length - offset);
          const range = await bytesOf(readPieces(store, 'x', { offset, length }, pieceBytes));
          expect(range).toEqual(bytes.slice(offset, offset + length));
        },
      ),
    );
  });

  it('end in an error when the object is missing or has become shorter', async () => {
    await expect(bytesOf(readPieces(directory, 'none'))).rejects.toThrow(NotFoundError);
    await directory.put('short', 'abc');
    const read = bytesOf(readPieces(directory, 'short', { length: 5 }));
    await expect(read).rejects.toThrow(InputError);
    await expect(read).rejects.toThrow(/^\/.*\/short ended at byte 3 .*\. Make it whole/);
  });

  it('are fetched ahead, but not all', async () => {
    const store = new MemoryStore();
    await store.put('x', pattern(100));
    const pieces = readPieces(store, 'x', {}, 10);
    await pieces.next();
    expect(store.reads).toHaveLength(3);
    await pieces.return();
    expect(store.reads).toHaveLength(3);
  });

  it('give the size and the hash, of what is written, read and copied', async () => {
    const bytes = pattern(20 * MIB);
    const expected = { key: 'a', bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    expect(await putFile(directory, 'a', cut(bytes, [3, MIB]))).toEqual(expected);
    expect(await putFile(directory, 'a', bytes)).toEqual(expected);
    expect(await hashObject(directory, 'a')).toEqual(expected);
    await copyObject(directory, 'a', directory, 'b/c');
    expect(await hashObject(directory, 'b/c')).toEqual({ ...expected, key: 'b/c' });
    expect(await putFile(directory, 'text', 'é')).toMatchObject({ bytes: 2, sha256: sha256('é') });
    await expect(copyObject(directory, 'none', directory, 'd')).rejects.toThrow(NotFoundError);
    await expect(hashObject(directory, 'none')).rejects.toThrow(NotFoundError);
  });
});
