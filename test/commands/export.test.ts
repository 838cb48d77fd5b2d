import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { exportModel } from '../../bin/commands/export.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { ConfigError } from '../../core/errors.ts';
import type { Arm, Evaluation } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { armLayout } from '../../core/layout.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { DirectoryStore, getJson, putJson } from '../../core/storage/index.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { loadModel } from '../../engine/files/checkpoint.ts';
import { filesOf, TinyRun, tinyConfig, tinyModel } from '../containers/support.ts';
import { temporaryFolder } from '../support.ts';
import { printed } from './support.ts';

const FILES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

let run: TinyRun;
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  run = await TinyRun.create();
  await run.prepare();
  for (const arm of ['main', 'control'] as const) {
    const { checkpoint } = armLayout(1, arm);
    const written: Record<string, string> = { 'config.json': '{}', 'model.safetensors': `model.safetensors ${arm}` };
    for (const [name, text] of Object.entries(written)) await run.store.put(`${checkpoint}/${name}`, text);
    const hashes = Object.fromEntries(Object.entries(written).map(([name, text]) => [name, sha256(text)]));
    await putJson(run.store, `${checkpoint}/training.json`, { format: 'mates-checkpoint/1', sha256: hashes });
  }
});

it('mates export refuses weights that are not as they were written', async () => {
  const weights = `${armLayout(1, 'control').checkpoint}/model.safetensors`;
  const before = await run.store.get(weights);
  await run.store.put(weights, before.subarray(1));
  const out = join(folder, 'damaged');
  await expect(exportModel(run.directory, { out, arm: 'control' })).rejects.toThrow(
    /model\.safetensors is damaged: its SHA/,
  );
  await expect(readdir(out)).rejects.toThrow('ENOENT');
  await run.store.put(weights, before);
});

it('mates export overwrites files of the same model, and no others', async () => {
  const out = join(folder, 'model');
  const write = (arm: Arm) => printed(() => exportModel(run.directory, { out, arm }));
  const model = () => readFile(join(out, 'model.safetensors'), 'utf8');
  await write('main');
  expect((await readdir(out)).sort()).toEqual(FILES);
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
  await writeFile(join(out, 'tokenizer_config.json'), '{}');
  await expect(write('control')).rejects.toThrow(refused('tokenizer_config.json'));
  await rm(join(out, 'tokenizer_config.json'));
  await write('control');
  expect(await model()).toBe('model.safetensors control');
});

it('mates export refuses the control arm of a run that has none', async () => {
  const { directory } = await TinyRun.create({ ...tinyConfig(), control: 'none' });
  await expect(exportModel(directory, { out: join(folder, 'none'), arm: 'control' })).rejects.toThrow(
    /^--arm control: the run has none/,
  );
});

it('mates export --decayed writes the model whose losses the evaluation has, and leaves the run as it is', async () => {
  const tiny = await TinyRun.create(tinyConfig({ pretrain: { stages: 1 } }));
  await tiny.prepare();
  await tiny.stage(0);
  const before = await filesOf(tiny.store, '');
  const out = join(folder, 'decayed');
  const write = () => printed(() => exportModel(tiny.directory, { out, arm: 'main', decayed: true, json: true }));
  expect(JSON.parse(await write())).toEqual({ out, stage: 0, arm: 'main', decayed: true });
  await write(); // the same model may be written again
  expect((await readdir(out)).sort()).toEqual(FILES);
  expect(JSON.parse(await readFile(join(out, 'tokenizer_config.json'), 'utf8'))).toMatchObject({
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|endoftext|>',
    eos_token: '<|endoftext|>',
  });
  expect(await filesOf(tiny.store, '')).toEqual(before);

  const { shape, parameters } = await loadModel(new DirectoryStore(out), '');
  const corpus = await openRunCorpus(tiny.run);
  const passages = await loadPassageSet(tiny.run, corpus, tiny.run.record.config.heldOut);
  const loss = await new PassageSet(await tinyModel(shape), passages).loss(parameters);
  const { heldOutLoss } = await getJson<Evaluation>(tiny.store, armLayout(0, 'main').evaluation);
  expect(loss).toBe(heldOutLoss);
  await expect(exportModel(tiny.directory, { out, arm: 'main' })).rejects.toThrow("another model's model.safetensors");
});
