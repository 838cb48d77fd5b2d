import { readdir } from 'node:fs/promises';
import { expect, it, vi } from 'vitest';
import { explainSystemError } from '../../core/errors.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

const ROOM = 10_000;

/** Writes as the real one does until the disk is full. */
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return {
    ...real,
    writeFile: async (file: Parameters<typeof real.writeFile>[0], content: AsyncIterable<Uint8Array>) => {
      let left = ROOM;
      const untilFull = async function* () {
        for await (const piece of content) {
          if (piece.length > left) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
          left -= piece.length;
          yield piece;
        }
      };
      await real.writeFile(file, untilFull());
    },
  };
});

it('a full disk in the middle of a stream leaves nothing behind, and the message names the file', async () => {
  const root = await temporaryFolder();
  const store = new DirectoryStore(root);
  let ended = false;
  async function* pieces(count: number) {
    try {
      for (let i = 0; i < count; i++) yield new Uint8Array(1000);
    } finally {
      ended = true;
    }
  }
  await store.put('checkpoint', pieces(9));
  ended = false;
  const failure = await store.put('checkpoint', pieces(99)).catch((error: unknown) => error);
  expect(explainSystemError(failure)).toMatch(
    /No space left on the disk \(.*checkpoint\): free some space.*rootVolumeGib/,
  );
  expect(await readdir(root)).toEqual(['checkpoint']);
  expect(await store.size('checkpoint')).toBe(9000);
  expect(ended).toBe(true);
});

it.each([
  [Object.assign(new Error('Region is missing')), /^No AWS region is set/],
  [Object.assign(new Error('none'), { name: 'CredentialsProviderError' }), /^No AWS credentials were found/],
  [
    Object.assign(new Error('no'), { code: 'ENOENT', syscall: 'mkdir', path: '/mnt/runs' }),
    /^The folder cannot be made \(\/mnt\/runs\): its file system may be read-only/,
  ],
  [
    Object.assign(new Error('no'), { code: 'EDQUOT', path: '/home/x' }),
    /^The disk quota is used up \(\/home\/x\): .*TMPDIR/,
  ],
  ...['EACCES', 'EPERM'].map((code): [Error, RegExp] => [
    Object.assign(new Error('no'), { code, path: '/data/in.jsonl' }),
    /^Permission denied \(\/data\/in\.jsonl\): change its permissions, or choose another place\.$/,
  ]),
  [
    Object.assign(new Error('no'), { code: 'EROFS', path: '/mnt/x' }),
    /^The file system is read-only \(\/mnt\/x\): choose another place\.$/,
  ],
  [Object.assign(new Error('no'), { code: 'ENAMETOOLONG' }), /^A name is too long .*choose shorter names/],
  [Object.assign(new Error('no'), { code: 'ELOOP', path: '/a' }), /^Symbolic links lead in a circle \(\/a\): correct/],
  [Object.assign(new Error('no'), { code: 'ENOENT', syscall: 'open', path: '/mnt/file' }), undefined],
])('%s is explained where it can be', (error, words) => {
  const said = explainSystemError(error);
  if (words) expect(said).toMatch(words);
  else expect(said).toBeUndefined();
});
