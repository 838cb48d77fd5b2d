import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportModel } from '../../bin/commands/export.ts';
import { ConfigError } from '../../core/errors.ts';
import { armLayout } from '../../core/layout.ts';
import { TinyRun } from '../containers/support.ts';
import { printed } from './support.ts';

let run: TinyRun;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mates-export-'));
  run = await TinyRun.create();
  await run.store.put('corpus/tokenizer.json', 'tokenizer');
  for (const arm of ['main', 'control'] as const)
    for (const name of ['config.json', 'model.safetensors', 'optimizer.safetensors', 'training.json'])
      await run.store.put(`${armLayout(1, arm).checkpoint}/${name}`, name === 'config.json' ? '{}' : `${name} ${arm}`);
});
afterAll(async () => {
  await run?.remove();
  await rm(folder, { recursive: true, force: true });
});

it('mates export writes over its own files, and over no others', async () => {
  const out = join(folder, 'model');
  const write = (arm: string) => printed(() => exportModel(run.directory, { out, arm }));
  const model = () => readFile(join(out, 'model.safetensors'), 'utf8');
  await write('main');
  expect((await readdir(out)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  await write('main');

  const refused = (name: string) =>
    new ConfigError(`--out ${out}: another model's ${name} is there; name another folder, or delete that one.`);
  await expect(write('control')).rejects.toThrow(refused('model.safetensors'));
  expect(await model()).toBe('model.safetensors main');

  await rm(join(out, 'model.safetensors'));
  await writeFile(join(out, 'tokenizer.json'), 'another');
  await expect(write('control')).rejects.toThrow(refused('tokenizer.json'));
  await expect(model()).rejects.toThrow('ENOENT');
  await rm(join(out, 'tokenizer.json'));
  await write('control');
  expect(await model()).toBe('model.safetensors control');
});
