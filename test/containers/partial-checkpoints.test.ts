import { afterEach, expect, it, vi } from 'vitest';
import { PartialCheckpoints } from '../../containers/partial-checkpoints.ts';
import { MemoryStore } from '../memory-store.ts';

const FOLDER = 'stages/0/partial-checkpoint/';
const often = { checkpointEverySteps: 1, checkpointEveryMinutes: 100 };

afterEach(() => vi.restoreAllMocks());

async function saved(step: number) {
  const store = new MemoryStore();
  const partial = new PartialCheckpoints(store, FOLDER, often);
  const write = async (key: string) => {
    for (const file of ['model.safetensors', 'optimizer.safetensors', 'training.json'])
      await store.put(`${key}/${file}`, key);
  };
  await partial.save(step, write);
  return { store, partial, write };
}

it('a save that fails leaves the one before it to resume from', async () => {
  const { store, partial } = await saved(3);
  const broken = partial.save(6, async (key) => {
    await store.put(`${key}/model.safetensors`, 'half');
    throw new Error('the disk is full');
  });
  await expect(broken).rejects.toThrow('the disk is full');
  expect(await partial.newest()).toBe(`${FOLDER}000000003`);
  expect(await store.list(`${FOLDER}000000003/`)).toHaveLength(3);
});

it('a save that succeeds leaves itself alone', async () => {
  const { store, partial, write } = await saved(3);
  await partial.save(6, write);
  expect(await partial.newest()).toBe(`${FOLDER}000000006`);
  expect(await store.list(FOLDER)).toHaveLength(3);
});

it('a later one is resumed from, where a kill came before the earlier was deleted', async () => {
  const { partial, write } = await saved(3);
  await write(`${FOLDER}000000006`);
  expect(await partial.newest()).toBe(`${FOLDER}000000006`);
});

it('is due after so many steps, and when so many minutes have passed since the last', async () => {
  let minutes = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => 60_000 * minutes);
  const every = { checkpointEverySteps: 10, checkpointEveryMinutes: 5 };
  const partial = new PartialCheckpoints(new MemoryStore(), FOLDER, every);
  expect([9, 10, 11, 20].map((done) => partial.isDue(done))).toEqual([false, true, false, true]);
  minutes = 5;
  expect(partial.isDue(11)).toBe(true);
  await partial.save(11, async () => {});
  expect(partial.isDue(12)).toBe(false);
  minutes = 10;
  expect(partial.isDue(13)).toBe(true);
});

it('deletes the mark first, so that what a kill leaves is never taken for whole', async () => {
  const { store, partial } = await saved(3);
  const forget = store.delete.bind(store);
  vi.spyOn(store, 'delete').mockImplementation(async (key) => {
    await forget(key);
    expect(await partial.newest(), key).toBeUndefined();
  });
  await partial.drop();
  expect(await store.list(FOLDER)).toEqual([]);
  expect(store.delete).toHaveBeenCalledTimes(3);
});
