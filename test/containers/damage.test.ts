/** Files that were changed after they had been written: a job that reads one says so, and nothing is made of it. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { armLayout } from '../../core/layout.ts';
import { makeManifest } from '../../core/run/manifest.ts';
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

it('a shard is not certified by the manifest', async () => {
  const shard = 'corpus/shards/00000.tokens.bin';
  await withDamage(shard, () =>
    expect(makeManifest(tiny.run)).rejects.toThrow(/00000\.tokens\.bin is not the file that the run wrote/),
  );
  const { outputs } = await makeManifest(tiny.run);
  expect(outputs.map(({ key }) => key)).toContain(shard);
});

it('a corpus with a file that is cut off is not gone on with', async () => {
  const path = join(tiny.directory, 'corpus/shards/00001.domains.bin');
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(2));
  await expect(tiny.prepare()).rejects.toThrow(
    /00001\.domains\.bin has \d+ bytes instead of \d+: the corpus was damaged .* Delete .*corpus, and give the same command again/,
  );
  await writeFile(path, bytes);
  await tiny.prepare();
});

it('a reference file is named, and not the corpus that it was compared with', async () => {
  const before = await readFile(reference);
  await appendFile(reference, '{"text": "Another passage."}\n');
  await expect(tiny.prepare()).rejects.toThrow(/reference\.jsonl .*its stages would not be comparable/);
  await writeFile(reference, before);
});
