import { mkdir, open, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { errorNamed, InputError } from '../../core/errors.ts';
import {
  DirectoryStore,
  getJson,
  getJsonIfPresent,
  isTransient,
  NotFoundError,
  OverlayStore,
  S3Store,
  s3Client,
  splitUri,
  storeOpener,
} from '../../core/storage/index.ts';
import { MemoryStore } from '../memory-store.ts';
import { temporaryFolder } from '../support.ts';

describe('a directory as a store', () => {
  let root: string;
  let store: DirectoryStore;
  beforeEach(async () => {
    root = await temporaryFolder();
    store = new DirectoryStore(root);
  });

  it('reads back what was put, whole and by range', async () => {
    await store.put('a/b.txt', 'hello world');
    expect(new TextDecoder().decode(await store.get('a/b.txt'))).toBe('hello world');
    expect(new TextDecoder().decode(await store.get('a/b.txt', { offset: 6, length: 99 }))).toBe('world');
    expect(await store.size('a/b.txt')).toBe(11);
    expect(await store.size('a')).toBeUndefined();
  });

  it('is the same with a slash at the end of its name', async () => {
    await store.put('a/b.txt', 'hello');
    for (const uri of [`${root}/`, `file://${root}/`]) {
      const slashed = storeOpener()(uri);
      expect(slashed.uri).toBe(store.uri);
      expect(await slashed.list('')).toEqual(['a/b.txt']);
    }
  });

  it('lists by prefix in byte order, without what is half-written', async () => {
    for (const key of ['b/2', 'b/10', 'b2', 'a']) await store.put(key, key);
    expect(await store.list('b')).toEqual(['b/10', 'b/2', 'b2']);
    expect(await store.list('nothing/here')).toEqual([]);
  });

  it('lists a folder after what precedes its slash, as S3 does', async () => {
    for (const key of ['a/b', 'a-b', 'a.b', 'a0']) await store.put(key, key);
    expect(await store.list('')).toEqual(['a-b', 'a.b', 'a/b', 'a0']); // - . / 0 in ASCII
  });

  it('syncs the bytes of a file to the disk before it has its name', async () => {
    const file = await open(join(root, 'probe'), 'w');
    const sync = vi.spyOn(Object.getPrototypeOf(file), 'sync');
    await file.close();
    const places: (boolean | undefined)[] = [];
    sync.mockImplementation(async () => void places.push((await store.size('file')) !== undefined));
    await store.put('file', 'x');
    await store.put('file', [new Uint8Array(9)]);
    sync.mockRestore();
    expect(places).toEqual([false, true]); // once for each, and the first before the name was there
  });

  it('puts only one of many that want a free key at once', async () => {
    const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => store.putIfAbsent('lock', `${i}`)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(new TextDecoder().decode(await store.get('lock'))).toBe(`${taken.indexOf(true)}`);
  });

  it('puts once where the key must be free', async () => {
    expect(await store.putIfAbsent('lock', 'first')).toBe(true);
    expect(await store.putIfAbsent('lock', 'second')).toBe(false);
    expect(new TextDecoder().decode(await store.get('lock'))).toBe('first');
    expect(await readdir(root)).toEqual(['lock']);
  });

  it('leaves nothing behind when a write fails', async () => {
    await store.put('file', 'x');
    await expect(store.put('file/below', 'y')).rejects.toThrow();
    expect(await readdir(root)).toEqual(['file']);
    await store.put('folder/file', 'x');
    await expect(store.put('folder', 'y')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(await readdir(root)).toEqual(['file', 'folder']);
  });

  it('lists links to files, as caches of models use them, and keeps listing a file while other folders come and go', async () => {
    await store.put('blobs/abc', 'weights');
    await mkdir(join(root, 'snapshot'));
    await symlink('../blobs/abc', join(root, 'snapshot/model.safetensors'));
    await symlink('../blobs/gone', join(root, 'snapshot/other'));
    expect(await store.list('')).toEqual(['blobs/abc', 'snapshot/model.safetensors']);
    let busy = true;
    const coming = (async () => {
      for (let i = 0; busy; i++) {
        await store.put(`more/${i}/file`, '');
        await store.delete(`more/${i}/file`);
      }
    })();
    for (let i = 0; i < 100; i++) expect(await store.list('blobs/')).toEqual(['blobs/abc']);
    for (let i = 0; i < 100; i++) expect(await store.list('')).toContain('blobs/abc');
    busy = false;
    await coming;
  });

  it('lists what is behind links to folders, and ends where they lead back', async () => {
    const elsewhere = await temporaryFolder();
    await new DirectoryStore(elsewhere).put('1/plan.json', '{}');
    await new DirectoryStore(elsewhere).put('1/x.partial-0123456789ab', '');
    await symlink(elsewhere, join(root, 'stages'));
    await store.put('a/b/file', '');
    for (const [target, name] of [
      [root, 'stages/back'],
      ['..', 'a/b/up'],
      ['.', 'a/b/self'],
      ['gone', 'a/nowhere'],
    ] as const)
      await symlink(target, join(root, name));
    expect(await store.list('')).toEqual(['a/b/file', 'stages/1/plan.json']);
    expect(await store.list('stages/1/')).toEqual(['stages/1/plan.json']);
    await writeFile(join(root, 'a/y.partial-0123456789ab'), '');
    await store.removePartial();
    expect(await readdir(join(root, 'a'))).toEqual(['b', 'nowhere']);
    expect(await readdir(join(elsewhere, '1'))).toEqual(['plan.json', 'x.partial-0123456789ab']); // another may write it
  });

  it('keeps no empty folder', async () => {
    await store.put('a/b/c', 'x');
    await store.put('a/d', 'y');
    await store.delete('a/b/c');
    expect(await readdir(join(root, 'a'))).toEqual(['d']);
    await store.delete('a/d');
    await store.delete('none/such');
    expect(await readdir(root)).toEqual([]);
  });

  it('refuses a key that leads out of it', async () => {
    const store = new DirectoryStore(await temporaryFolder());
    for (const key of ['../x.json', 'stages/../../x.json', '..']) {
      await expect(store.put(key, 'x')).rejects.toThrow(/leads out of/);
      await expect(store.get(key)).rejects.toThrow(/leads out of/);
    }
    await store.put('..stages/a.json', 'x');
    expect(await store.size('..stages/a.json')).toBe(1);
  });

  it('says which object is missing', async () => {
    await expect(store.get('none.json')).rejects.toThrow(NotFoundError);
    await expect(store.get('none.json')).rejects.toThrow(/none\.json does not exist.* Restore it from a copy/);
    // The class alone does not survive a thread, a job or a function; its name has to be one of ours.
    const { name, message } = new NotFoundError('none.json');
    expect(errorNamed(name, message)).toEqual(new InputError(message));
    expect(await getJsonIfPresent(store, 'none.json')).toBeUndefined();
  });
});

describe('S3 as a store', () => {
  const s3 = mockClient(S3Client);
  const store = new S3Store('bucket', 'runs/x', async () => new S3Client({ region: 'us-east-1' }));
  beforeEach(() => s3.reset());

  it('asks for ranges as HTTP writes them', async () => {
    const body = { transformToByteArray: async () => new Uint8Array([1, 2]) };
    s3.on(GetObjectCommand).resolves({ Body: body as never });
    expect(await store.get('scores', { offset: 4, length: 2 })).toEqual(new Uint8Array([1, 2]));
    expect(s3.commandCalls(GetObjectCommand)[0]!.args[0].input).toMatchObject({
      Bucket: 'bucket',
      Key: 'runs/x/scores',
      Range: 'bytes=4-5',
    });
    expect(await store.get('scores', { offset: 4, length: 0 })).toHaveLength(0);
  });

  it('asks again when the connection breaks within an answer, and not when there is nothing to gain', async () => {
    const broken = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    const answer = (transformToByteArray: () => Promise<Uint8Array>) => ({ Body: { transformToByteArray } }) as object;
    s3.on(GetObjectCommand)
      .resolvesOnce(answer(() => Promise.reject(broken)))
      .resolves(answer(async () => Uint8Array.of(7)));
    expect(await store.get('a')).toEqual(Uint8Array.of(7));
    expect(s3.commandCalls(GetObjectCommand)).toHaveLength(2);
    s3.reset();
    s3.on(GetObjectCommand).rejects(Object.assign(new Error('no'), { name: 'AccessDenied' }));
    await expect(store.get('a')).rejects.toThrow('no');
    expect(s3.commandCalls(GetObjectCommand)).toHaveLength(1);
  });

  it.each([
    ['a connection that was reset', { code: 'ECONNRESET' }, true],
    ['a request that was throttled', { name: 'SlowDown', $metadata: { httpStatusCode: 503 } }, true],
    ['a fault of the service', { name: 'InternalError', $metadata: { httpStatusCode: 500 } }, true],
    ['a refusal', { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }, false],
    ['a bug', {}, false],
  ])('%s is transient: %s', async (_, of, may) => {
    expect(await isTransient(Object.assign(new Error('failed'), of))).toBe(may);
  });

  it('puts conditionally, and says when the key was taken', async () => {
    s3.on(PutObjectCommand).rejects(Object.assign(new Error('taken'), { name: 'PreconditionFailed' }));
    expect(await store.putIfAbsent('lock', 'x')).toBe(false);
    expect(s3.commandCalls(PutObjectCommand)[0]!.args[0].input.IfNoneMatch).toBe('*');
  });

  it('puts again while another put of the key is under way', async () => {
    const conflict = Object.assign(new Error('a conflict'), { name: 'ConditionalRequestConflict' });
    s3.on(PutObjectCommand)
      .rejectsOnce(conflict)
      .rejects(Object.assign(new Error('taken'), { name: 'PreconditionFailed' }));
    expect(await store.putIfAbsent('lock', 'x')).toBe(false);
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(2);
  });

  it('tags resumable checkpoints, in one piece or in parts, and nothing else', async () => {
    s3.on(CreateMultipartUploadCommand).resolves({ UploadId: '1' });
    s3.on(UploadPartCommand).resolves({ ETag: 'x' });
    const inParts = new S3Store('bucket', 'runs/x', async () => new S3Client({ region: 'us-east-1' }), 5 << 20);
    const key = 'stages/0/partial-checkpoint/000000005/model.safetensors';
    await inParts.put(key, new Uint8Array(9));
    await inParts.put(key, new Uint8Array(6 << 20));
    await inParts.put('stages/0/checkpoint/model.safetensors', new Uint8Array(9));
    const tags = [PutObjectCommand, CreateMultipartUploadCommand].map((command) =>
      s3.commandCalls(command as typeof PutObjectCommand).map(({ args }) => args[0].input.Tagging),
    );
    expect(tags).toEqual([['mates-partial=true', undefined], ['mates-partial=true']]);
  });

  it('follows the pages of a listing', async () => {
    s3.on(ListObjectsV2Command)
      .resolvesOnce({ Contents: [{ Key: 'runs/x/a' }], NextContinuationToken: 'more' })
      .resolvesOnce({ Contents: [{ Key: 'runs/x/b' }] });
    expect(await store.list('')).toEqual(['a', 'b']);
  });

  it('has one client for all stores of an opener', async () => {
    s3.on(ListObjectsV2Command).resolves({});
    const open = storeOpener();
    const stores = [open('s3://bucket/a'), open('s3://bucket/b'), open('s3://other'), storeOpener()('s3://bucket/a')];
    for (const store of stores) await store.list('');
    const [first, ...others] = s3.calls().map(({ thisValue }) => thisValue);
    expect(others.map((client) => client === first)).toEqual([true, true, false]);
  });

  it('goes on asking for a minute where the SDK would give up within a second', async () => {
    const client = await s3Client()();
    expect(await client.config.maxAttempts()).toBeGreaterThanOrEqual(8);
  });

  it('reports a missing object as a directory does', async () => {
    s3.on(GetObjectCommand).rejects(Object.assign(new Error('none'), { name: 'NoSuchKey' }));
    await expect(store.get('none')).rejects.toThrow(NotFoundError);
  });
});

describe('an overlay', () => {
  it('reads what is not hidden from the store below, and writes to the one above', async () => {
    const [base, scratch] = [new MemoryStore(), new MemoryStore()];
    for (const key of ['a', 'b', 'c']) await base.put(key, `base ${key}`);
    const store = new OverlayStore(base, scratch, (key) => key === 'b');
    const text = async (key: string) => Buffer.from(await store.get(key)).toString();
    expect(await store.list('')).toEqual(['a', 'c']);
    expect(await store.size('b')).toBeUndefined();
    await expect(store.get('b')).rejects.toThrow(NotFoundError);
    expect(await store.putIfAbsent('a', 'mine')).toBe(false);
    expect(await store.putIfAbsent('b', 'mine')).toBe(true);
    await store.put('c', 'my own');
    expect(await Promise.all(['a', 'b', 'c'].map(text))).toEqual(['base a', 'mine', 'my own']);
    expect(await store.list('')).toEqual(['a', 'b', 'c']);
    await store.delete('c');
    expect(await text('c')).toBe('base c');
    expect([...base.files.keys()]).toEqual(['a', 'b', 'c']);
  });
});

it('names the object that is not valid JSON', async () => {
  const store = new MemoryStore('memory://run');
  await store.put('plan.json', '{"stage":');
  await expect(getJson(store, 'plan.json')).rejects.toThrow(/memory:\/\/run\/plan\.json is not valid JSON/);
});

describe('opening a store', () => {
  it('opens the local lake for its own bucket, and S3 for any other', () => {
    const open = storeOpener('/data/lake-directory');
    expect(open('s3://lake/runs/x').uri).toBe('/data/lake-directory/runs/x');
    expect(open('s3://other/runs/x').uri).toBe('s3://other/runs/x');
    expect(open('/elsewhere').uri).toBe('/elsewhere');
    expect(storeOpener()('s3://lake/runs').uri).toBe('s3://lake/runs');
  });

  it.each(['s3:///etc/hosts', 's3://', 's3:/bucket/key', 'S3://bucket/key'])('takes %s for no path', (uri) => {
    expect(() => storeOpener()(uri)).toThrow(/expected s3:\/\/BUCKET\/KEY/);
  });

  it('splits a file into folder and name', () => {
    expect(splitUri('s3://bucket/a/b.json')).toEqual({ folder: 's3://bucket/a', name: 'b.json' });
    expect(splitUri('b.json')).toEqual({ folder: '.', name: 'b.json' });
  });
});
