import { readdir } from 'node:fs/promises';
import { expect, it, vi } from 'vitest';
import { DirectoryStore } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  link: () => Promise.reject(Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' })),
}));

it('on a disk without hard links, an object is written only if its key is free', async () => {
  const folder = await temporaryFolder();
  const store = new DirectoryStore(folder);
  const answers = await Promise.all(['one', 'two', 'three'].map((text) => store.putIfAbsent('a/b', text)));
  expect(answers.filter(Boolean)).toHaveLength(1);
  const winner = ['one', 'two', 'three'][answers.indexOf(true)];
  expect(new TextDecoder().decode(await store.get('a/b'))).toBe(winner);
  expect(await store.putIfAbsent('a/b', 'later')).toBe(false);
  expect(await readdir(folder, { recursive: true })).toEqual(['a', 'a/b']);
});
