/** Objects larger than one request, in a real bucket's protocol. */
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { sha256 } from '../../core/hash.ts';
import { copyObject, hashObject, putFile, S3Store } from '../../core/storage/index.ts';
import { freshId, lake } from './support.ts';

/** S3's least part. */
const PART = 5 << 20;
const prefix = freshId('storage');
const client = new S3Client({});
const store = new S3Store(lake, prefix, async () => client, PART);
const bytes = new Uint8Array(Uint32Array.from({ length: 3.3e6 }, (_, i) => Math.imul(i, 0x9e3779b1)).buffer);

/** The bytes in uneven pieces, which may end in an error. */
async function* pieces(error?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (3 * size + 7) % 2_000_003)
    yield bytes.subarray(at, at + size);
  if (error) throw error;
}

const uploads = async () => {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: lake, Prefix: prefix }));
  return Uploads;
};

it('a stream goes up in parts and comes back in pieces', async () => {
  const record = { key: 'large', bytes: bytes.length, sha256: sha256(bytes) };
  expect(await putFile(store, 'large', pieces())).toEqual(record);
  expect(await hashObject(store, 'large')).toEqual(record);
  await copyObject(store, 'large', store, 'copy');
  expect(await hashObject(store, 'copy')).toMatchObject({ sha256: record.sha256 });
  expect(await store.list('')).toEqual(['copy', 'large']);
});

it('a range beyond the end gives what there is, as in a directory', async () => {
  await store.put('short', 'hello world');
  const text = async (offset: number) => new TextDecoder().decode(await store.get('short', { offset, length: 99 }));
  expect([await text(6), await text(11), await text(500)]).toEqual(['world', '', '']);
});

it('a text does not replace what is there, where the key must be free', async () => {
  expect(await store.putIfAbsent('once', 'first')).toBe(true);
  expect(await store.putIfAbsent('once', 'second')).toBe(false);
  expect((await hashObject(store, 'once')).sha256).toBe(sha256('first'));
});

it('of many texts at once for a free key, one is taken', async () => {
  for (let round = 0; round < 50; round++) {
    const key = `contested/${round}`;
    const taken = await Promise.all(Array.from({ length: 8 }, (_, i) => store.putIfAbsent(key, `${i}`)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect((await hashObject(store, key)).sha256).toBe(sha256(`${taken.indexOf(true)}`));
  }
});

it('a stream that breaks off leaves neither an object nor parts', async () => {
  await expect(store.put('broken', pieces(new Error('the source is gone')))).rejects.toThrow('the source is gone');
  expect(await store.size('broken')).toBeUndefined();
  expect(await uploads()).toEqual([]);
});
