/** The second pass of a preparation: shards side by side, and where an earlier attempt has stopped. */
import { readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { type PrepareOptions, prepareCorpus } from '../../core/corpus/prepare.ts';
import { InterruptedError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { CORPUS_FILE } from '../../core/layout.ts';
import { DirectoryStore, jsonText } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';
import { jsonl, prepareRecords, settings, someRecords, writeInput } from './support.ts';

/** Documents of three domains, some of which are there twice. */
const RECORDS = [...someRecords(300), ...someRecords(40)];
const SHARDS = 7;

/** What one thread writes, shard after shard; with and without near-duplicates. */
const WHOLE = 'c5d7ce8e403ff14a874b23c777f1fea52d6f1dc2d80008f28e140c3df937dda8';
const WITHOUT_NEAR = '2854438edb52c179f39b3cb4092e9acb1d7b198861761c734cea40e1a5f8554b';

/** One hash of all that a store holds, but for the corpus's seed: its field came later than these hashes. */
async function hashOf(store: DirectoryStore): Promise<string> {
  const files: string[] = [];
  for (const key of await store.list('')) {
    const bytes = await store.get(key);
    const { seed: _, ...older } = key === CORPUS_FILE ? JSON.parse(Buffer.from(bytes).toString()) : {};
    files.push(`${key} ${sha256(key === CORPUS_FILE ? jsonText(older) : bytes)}`);
  }
  return sha256(files.join('\n'));
}

it('any number of workers writes the same bytes', async () => {
  for (const workers of [1, 2, 3]) {
    const { target } = await prepareRecords(RECORDS, { shards: SHARDS, workers });
    expect(await hashOf(target), `${workers} workers`).toBe(WHOLE);
  }
  const { target } = await prepareRecords(RECORDS, { shards: SHARDS, workers: 2, removeNearDuplicates: true });
  expect(await hashOf(target)).toBe(WITHOUT_NEAR);
});

/** A preparation that is stopped when some shards are written, and what it left. */
async function stopped(workers: number, change: Partial<PrepareOptions> = {}) {
  const [folder, temporary] = [await temporaryFolder(), await temporaryFolder()];
  vi.stubEnv('TMPDIR', temporary);
  const input = await writeInput('records.jsonl', jsonl(RECORDS));
  const options = { ...settings(input, new DirectoryStore(folder)), shards: SHARDS, workers };
  const stop = new AbortController();
  const progress: PrepareOptions['progress'] = ({ step, done }) => {
    if (step === 'Pack the shards' && done >= 2) stop.abort();
  };
  await expect(prepareCorpus({ ...options, ...change, progress, signal: stop.signal })).rejects.toThrow(
    InterruptedError,
  );
  expect((await readdir(temporary)).filter((name) => name.startsWith('mates-prepare-'))).toEqual([]);
  vi.unstubAllEnvs();
  const left = await readdir(folder, { recursive: true });
  expect(left.filter((name) => /\.partial-|corpus\.json/.test(name))).toEqual([]);
  return { folder, options, records: left.filter((name) => name.endsWith('.partial.json')) };
}

it.each([1, 2])('%s workers go on after the shards that are already written', async (workers) => {
  const { folder, options, records } = await stopped(workers);
  expect(records.length).toBeGreaterThanOrEqual(2);
  expect(records.length).toBeLessThan(SHARDS);
  const files = records.flatMap((name) =>
    ['tokens.bin', 'parquet', 'domains.bin'].map((end) => join(folder, name.replace('partial.json', end))),
  );
  // A file that is written again gets another inode.
  const places = () => Promise.all(files.map(async (path) => (await stat(path)).ino));
  const before = await places();
  const seen: number[] = [];
  await prepareCorpus({
    ...options,
    progress: ({ step, done }) => {
      if (step === 'Pack the shards') seen.push(done);
    },
  });
  expect(await places()).toEqual(before);
  expect(seen).toEqual(Array.from({ length: SHARDS - records.length + 1 }, (_, i) => records.length + i));
  expect(await hashOf(options.target as DirectoryStore)).toBe(WHOLE);
});

it('writes a shard again of which a file is missing or cut off', async () => {
  const { folder, options, records } = await stopped(1);
  const [one, other] = records.map((name) => join(folder, name.replace('partial.json', '')));
  await rm(`${one}tokens.bin`);
  await truncate(`${other}parquet`, 100);
  await prepareCorpus(options);
  expect(await hashOf(options.target as DirectoryStore)).toBe(WHOLE);
});

it('does not reuse a shard that was written with other settings', async () => {
  const { options } = await stopped(1, { seed: 2 });
  await prepareCorpus(options);
  expect(await hashOf(options.target as DirectoryStore)).toBe(WHOLE);
});
