import { cp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { armLayout, MANIFEST_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import { handler } from '../../functions/finish-run/index.ts';
import { TinyRun, tinyConfig } from '../containers/support.ts';
import { temporaryFolder } from '../support.ts';

let inputs: string;
let tiny: TinyRun;
beforeAll(async () => {
  inputs = await temporaryFolder();
  process.env.MATES_LAKE_DIRECTORY = inputs;
  const reference = join(inputs, 'reference.jsonl');
  await cp(resolve('test/fixtures/mini-corpus/reference.jsonl'), reference);
  tiny = await TinyRun.create(tinyConfig({ pretrain: { stages: 1 }, reference: { input: reference } }));
  await tiny.prepare();
  await tiny.stage(0);
});
afterAll(() => {
  delete process.env.MATES_LAKE_DIRECTORY;
});

const finish = () => {
  const run = { id: 'tiny', uri: tiny.directory, bucket: 'lake', prefix: 'runs/tiny', dryRun: false };
  return handler({ run: { ...run, trainer: 'batch' }, execution: 'arn' });
};

it('writes nothing where an input was changed while the run was at work', async () => {
  const file = join(inputs, 'reference.jsonl');
  await writeFile(file, '{"text": "Another passage."}\n', { flag: 'a' });
  await expect(finish()).rejects.toThrow(InputError);
  await expect(finish()).rejects.toThrow(/reference\.jsonl is not the file .* changed while the run was at work/);
  expect(await tiny.store.size(SUMMARY_FILE)).toBeUndefined();
  expect(await tiny.store.size(MANIFEST_FILE)).toBeUndefined();
  await cp(resolve('test/fixtures/mini-corpus/reference.jsonl'), file);
  await finish();
  expect(await tiny.store.size(MANIFEST_FILE)).toBeGreaterThan(0);
});

it('writes nothing where the corpus differs from the one that the run began with', async () => {
  const { store } = tiny;
  await store.delete(MANIFEST_FILE);
  const key = 'corpus/corpus.json';
  const before = await store.get(key);
  await store.put(key, `${Buffer.from(before)} `);
  await expect(finish()).rejects.toThrow(/corpus is not the corpus that the run began with/);
  expect(await store.size(MANIFEST_FILE)).toBeUndefined();
  await store.put(key, before);
  await finish();
});

it('does not accept an altered file as one of the finished run', async () => {
  const { store } = tiny;
  await finish();
  const [manifest, summary] = [await store.get(MANIFEST_FILE), await store.get(SUMMARY_FILE)];
  await store.put('notes.txt', 'a file more is no reason');
  await finish();
  await store.put(MANIFEST_FILE, manifest);
  const { evaluation, metrics } = armLayout(0, 'main');
  const before = Buffer.from(await store.get(evaluation)).toString();
  await store.put(evaluation, before.replace(/"heldOutLoss": \d/, '"heldOutLoss": 0'));
  await expect(finish()).rejects.toThrow(InputError);
  await expect(finish()).rejects.toThrow(/stages\/0\/evaluation\.json is not the file that manifest\.json has/);
  expect(await store.get(MANIFEST_FILE)).toEqual(manifest);
  expect(await store.get(SUMMARY_FILE)).toEqual(summary);
  await store.put(evaluation, before);
  const losses = await store.get(metrics);
  await store.delete(metrics);
  await expect(finish()).rejects.toThrow(/stages\/0\/metrics\.json is missing; manifest\.json names it/);
  await store.put(metrics, losses);
  await finish();
});
