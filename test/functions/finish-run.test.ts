import { cp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { MANIFEST_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import { handler } from '../../functions/finish-run/index.ts';
import { TinyRun, tinyConfig } from '../containers/support.ts';
import { temporaryFolder } from '../end-to-end/support.ts';

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
afterAll(async () => {
  delete process.env.MATES_LAKE_DIRECTORY;
  await rm(inputs, { recursive: true, force: true });
  await tiny?.remove();
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
