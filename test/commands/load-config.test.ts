import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Changes, loadConfigFile } from '../../bin/load-config.ts';
import { ConfigError } from '../../core/errors.ts';
import { temporaryFolder } from '../support.ts';

const FIELDS = { corpus: { input: ['a.jsonl'] }, reference: { input: 'r.jsonl' }, heldOut: { input: 'h.jsonl' } };

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

async function file(name: string, over: object = {}): Promise<string> {
  await writeFile(join(folder, name), JSON.stringify({ ...FIELDS, ...over }));
  return join(folder, name);
}

describe('a configuration without a name', () => {
  it.each([
    ['mine.json', 'mine'],
    ['mine', 'mine'],
    ['my_run.v1.json', 'my-run-v1'],
    ['_my mine.json', 'my-mine'],
    [`${'a'.repeat(41)}.json`, 'a'.repeat(40)],
    ['???.json', 'run'], // nothing of a name for a run
  ])('in %s is called %s', async (name, expected) => {
    expect((await loadConfigFile(await file(name))).name).toBe(expected);
  });

  it('keeps the name that it or a flag gives', async () => {
    const named = await file('mine.json', { name: 'other' });
    expect((await loadConfigFile(named)).name).toBe('other');
    expect((await loadConfigFile(named, { set: ['name=third'] })).name).toBe('third');
    await expect(loadConfigFile(await file('mine.json', { name: null }))).rejects.toThrow(/mine\.json: name: .*string/);
  });
});

describe('an error', () => {
  it('in the file is reported for the file, even where that is a folder', async () => {
    const path = join(folder, 'data');
    await mkdir(path);
    const refused = new ConfigError(`${path}: this is a folder; name a configuration file.`);
    await expect(loadConfigFile(path)).rejects.toThrow(refused);
  });

  it.each<[Changes, RegExp]>([
    [{ seed: 'x' }, /^--seed x: Invalid input: expected number, received string \(found "x"\)\.$/],
    [{ set: ['foo=1'] }, /^--set foo=1: unknown field; the fields here are name, seed, .*\.$/],
    [{ set: ['pretrain={"steps":1}'] }, /^--set pretrain=\{"steps":1\}: pretrain\.steps: unknown field; .*\.$/],
    [{ set: ['corpus.tokenizer.trian=9'] }, /^--set corpus\.tokenizer\.trian=9: corpus\.tokenizer/],
    [{ set: ['model.heads=5'] }, /^--set model\.heads=5: must divide model\.width/],
    [{ set: ['seed=y'], seed: 'x' }, /^--seed x: [^\n]*$/], // the one that acts
  ])('in a flag is reported for the flag: %o', async (changes, message) => {
    await expect(loadConfigFile(await file('mine.json'), changes)).rejects.toThrow(message);
  });

  it('in both is reported for each', async () => {
    const path = await file('mine.json', { model: { layers: 0 }, stages: 3 });
    await expect(loadConfigFile(path, { seed: 'x' })).rejects.toThrow(
      /^\S+mine\.json: model\.layers: [^\n]+\n {2}stages: unknown field[^\n]+\n--seed x: [^\n]+$/,
    );
  });
});
