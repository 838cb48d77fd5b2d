/** Files that were changed after they had been written: a job that reads one says so, and nothing is made of it. */
import { appendFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { armLayout, MANIFEST_FILE } from '../../core/layout.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import { putJson } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';
import { TinyRun, tinyConfig } from './support.ts';

let tiny: TinyRun;
let reference: string;
beforeAll(async () => {
  const config = tinyConfig({ pretrain: { ...tinyConfig().pretrain, stages: 1 } });
  reference = join(await temporaryFolder(), 'reference.jsonl');
  await writeFile(reference, await readFile(config.reference.input));
  tiny = await TinyRun.create({ ...config, reference: { ...config.reference, input: reference } });
  await tiny.prepare();
  await tiny.stage(0);
});

/** Flips one bit in the middle of a file, does something, and flips it back. */
async function withDamage(key: string, act: () => Promise<void>): Promise<void> {
  const path = join(tiny.directory, key);
  const bytes = await readFile(path);
  const other = Buffer.from(bytes);
  other[other.length >> 1]! ^= 1;
  await writeFile(path, other);
  await act().finally(() => writeFile(path, bytes));
}

it('a selection is not trained on', async () => {
  const { selection, checkpoint } = armLayout(0, 'main');
  for (const key of await tiny.store.list(checkpoint)) await tiny.store.delete(key);
  await withDamage(selection, () =>
    expect(tiny.pretrain(0)).rejects.toThrow(
      /stages\/0\/selection\.parquet is not the file that selection\.json describes/,
    ),
  );
  await tiny.pretrain(0);
});

it.each([
  ['a shard', 'corpus/shards/00000.tokens.bin', ['corpus', 'stages'], /delete the folders corpus and stages/],
  ['a checkpoint', 'stages/0/checkpoint/model.safetensors', ['stages/0'], /delete the folders of its stage/],
])('%s is not certified by the manifest, and what it advises helps', async (_, key, folders, advice) => {
  const before = await makeManifest(tiny.run);
  expect(before.outputs.map((output) => output.key)).toContain(key);
  const path = join(tiny.directory, key);
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
  await expect(makeManifest(tiny.run)).rejects.toThrow(/ is not the file that the run wrote/);
  await expect(makeManifest(tiny.run)).rejects.toThrow(advice);
  for (const folder of folders) await rm(join(tiny.directory, folder), { recursive: true });
  await tiny.prepare();
  await tiny.stage(0);
  expect((await makeManifest(tiny.run)).outputs).toEqual(before.outputs);
});

it('a checkpoint that was changed after the run had finished is told from one that was damaged before', async () => {
  await putJson(tiny.store, MANIFEST_FILE, await makeManifest(tiny.run));
  await withDamage('stages/0/checkpoint/model.safetensors', () =>
    expect(makeManifest(tiny.run)).rejects.toThrow(
      /model\.safetensors is not the file that manifest\.json has: it was changed after/,
    ),
  );
  await tiny.store.delete(MANIFEST_FILE);
});

it('a corpus with a file that is cut off is not gone on with', async () => {
  const path = join(tiny.directory, 'corpus/shards/00001.domains.bin');
  const before = await makeManifest(tiny.run);
  await truncate(path, 2);
  await expect(tiny.prepare()).rejects.toThrow(
    /00001\.domains\.bin has \d+ bytes instead of \d+: the corpus was damaged .* Delete .*corpus, and give the same command again/,
  );
  await rm(join(tiny.directory, 'corpus'), { recursive: true });
  await tiny.prepare();
  expect((await makeManifest(tiny.run)).outputs).toEqual(before.outputs);
});

it('a reference file is named, and not the corpus that it was compared with', async () => {
  const before = await readFile(reference);
  await appendFile(reference, '{"text": "Another passage."}\n');
  await expect(tiny.prepare()).rejects.toThrow(/reference\.jsonl .*its stages would not be comparable/);
  await writeFile(reference, before);
});
