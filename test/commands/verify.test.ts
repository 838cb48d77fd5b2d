import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Manifest, RunRecord } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { MANIFEST_FILE, RUN_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import { readParquet, writeParquet } from '../../core/parquet.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import { openRun } from '../../core/run/open-run.ts';
import { summarise } from '../../core/run/summary.ts';
import { verifyRun } from '../../core/run/verify.ts';
import { DirectoryStore, getJson, putJson, storeOpener } from '../../core/storage/index.ts';
import { TinyRun, tinyConfig } from '../containers/support.ts';
import { mates } from '../end-to-end/support.ts';
import { temporaryFolder } from '../support.ts';

/** A finished run; every test spoils a copy of it. */
let finished: TinyRun;
let inputs: string;
let folder: string;
beforeAll(async () => {
  inputs = await temporaryFolder();
  const fixtures = resolve('test/fixtures/mini-corpus');
  for (const name of ['reference', 'held-out'])
    await cp(join(fixtures, `${name}.jsonl`), join(inputs, `${name}.jsonl`));
  for (const name of ['novels-austen', 'dictionary', 'logs'])
    await cp(join(fixtures, `${name}.jsonl`), join(inputs, 'texts', `${name}.jsonl`));
  finished = await TinyRun.create(
    tinyConfig({
      corpus: { input: [join(inputs, 'texts', '*.jsonl')] },
      reference: { input: join(inputs, 'reference.jsonl') },
      heldOut: { input: join(inputs, 'held-out.jsonl') },
    }),
  );
  await finished.prepare();
  await finished.stage(0);
  await finished.stage(1);
  await putJson(finished.store, SUMMARY_FILE, await summarise(finished.run));
  await putJson(finished.store, MANIFEST_FILE, await makeManifest(finished.run));
  folder = await temporaryFolder();
});

let copy: DirectoryStore;
beforeEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await cp(finished.directory, folder, { recursive: true });
  copy = new DirectoryStore(folder);
});

const verify = async (inputs = false) => verifyRun(await openRun(storeOpener(), folder), { inputs });
const edit = async (key: string, change: (bytes: Uint8Array) => Uint8Array | string) =>
  copy.put(key, change(await copy.get(key)));
const flip = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte));

/** Changes a file, and the manifest with it, as if the run had made it so. */
async function forge(key: string, change: (bytes: Uint8Array) => Uint8Array | string): Promise<void> {
  await edit(key, change);
  const manifest = await getJson<Manifest>(copy, MANIFEST_FILE);
  const bytes = await copy.get(key);
  Object.assign(manifest.outputs.find((output) => output.key === key)!, { bytes: bytes.length, sha256: sha256(bytes) });
  await putJson(copy, MANIFEST_FILE, manifest);
}
const forgeJson = (key: string, change: (value: never) => void) =>
  forge(key, (bytes) => {
    const value = JSON.parse(Buffer.from(bytes).toString());
    change(value as never);
    return JSON.stringify(value);
  });

describe('a finished run', () => {
  it('is in order with its inputs, and files that were added are listed', async () => {
    const found = await verify(true);
    const { outputs } = await getJson<Manifest>(copy, MANIFEST_FILE);
    expect(found).toMatchObject({ kind: 'run', finished: true, files: outputs.length, stages: 2, unnamed: [] });
    expect(found.bytes).toBe(outputs.reduce((sum, { bytes }) => sum + bytes, 0));
    await copy.put('notes.txt', 'mine');
    await copy.put('stages/0/.DS_Store', 'of the system');
    expect((await verify()).unnamed).toEqual(['notes.txt']);
  });

  it.each([
    'corpus/shards/00003.tokens.bin',
    'corpus/tokenizer.json',
    'stages/1/probes/00001.parquet',
    'stages/1/scores/00000/keys.bin',
    'stages/1/control/selection.parquet',
    'stages/1/checkpoint/optimizer.safetensors',
    'stages/1/plan.json',
  ])('is damaged where a byte of %s has changed or is cut off, or the file is missing', async (key) => {
    await edit(key, flip);
    await expect(verify()).rejects.toThrow(`${key} is damaged: its SHA-256`);
    await edit(key, (bytes) => bytes.subarray(1));
    await expect(verify()).rejects.toThrow(/has \d+ bytes, manifest\.json has \d+/);
    await copy.delete(key);
    await expect(verify()).rejects.toThrow(`${key} is missing; manifest.json names it`);
  });

  it('names the first of several damaged files', async () => {
    for (const key of ['stages/1/metrics.json', 'stages/0/metrics.json', 'stages/1/selection.json'])
      await edit(key, flip);
    await expect(verify()).rejects.toThrow('stages/0/metrics.json');
  });

  it('has the hashes that its writers recorded where the manifest has none', async () => {
    const manifest = await getJson<Manifest>(copy, MANIFEST_FILE);
    const key = manifest.outputs.find((output) => output.key.endsWith('model.safetensors'))!.key;
    const outputs = manifest.outputs.filter((output) => output.key !== key);
    await putJson(copy, MANIFEST_FILE, { ...manifest, outputs });
    await expect(verify()).resolves.toBeDefined();
    await copy.put(key, flip(await copy.get(key)));
    await expect(verify()).rejects.toThrow(`${key} is damaged: its SHA-256 is`);
  });

  it('must have the configuration of its manifest', async () => {
    await edit('run.json', (bytes) => Buffer.from(bytes).toString().replace('"seed": 3', '"seed": 4'));
    await expect(verify()).rejects.toThrow('run.json is not the one in manifest.json');
    await copy.put('run.json', '{"format"');
    await expect(verify()).rejects.toThrow('run.json is not valid JSON');
  });

  it('must have inputs that are unchanged, where that is to be checked', async () => {
    for (const name of ['texts/logs', 'reference']) {
      const path = join(inputs, `${name}.jsonl`);
      const text = await readFile(path);
      await writeFile(path, `${text}{"text":"more"}\n`);
      await verify();
      await expect(verify(true)).rejects.toThrow(`${name}.jsonl is not the file that the run has read`);
      await writeFile(path, text);
    }
    const path = join(inputs, 'texts', 'logs.jsonl');
    const text = await readFile(path);
    await rm(path);
    await expect(verify(true)).rejects.toThrow(/^logs\.jsonl, which corpus\.input \(.*\*\.jsonl\) had .* is missing/);
    await writeFile(path, text);
  });
});

describe('files that disagree though their hashes are right', () => {
  const parquet = async (key: string, column: 'row' | 'key', change: (values: number[]) => void) => {
    const columns = { row: 'INT64', domain: 'STRING', utility: 'FLOAT', key: 'INT64' } as const;
    const data = await readParquet({ store: copy, key }, columns);
    change(data[column]);
    const names = ['row', 'domain', 'utility', 'key'] as const;
    await forge(key, () => writeParquet(names.map((name) => ({ name, type: columns[name], data: data[name] }))));
  };
  const probes = async (change: (columns: Record<'row' | 'influence', number[]>) => void) => {
    const key = 'stages/1/probes/00001.parquet';
    const data = await readParquet({ store: copy, key }, { row: 'INT64', influence: 'DOUBLE' });
    change(data);
    await forge(key, () =>
      writeParquet([
        { name: 'row', type: 'INT64', data: data.row },
        { name: 'influence', type: 'DOUBLE', data: data.influence },
      ]),
    );
  };
  const selection = 'stages/1/selection.parquet';

  it.each<[string, () => Promise<void>, RegExp]>([
    [
      'an unknown format',
      () => forgeJson('stages/1/metrics.json', (file: { format: string }) => (file.format = 'mates-training/9')),
      /metrics\.json has the format "mates-training\/9", "mates-training\/1" was expected/,
    ],
    [
      'a plan of other rows',
      () => forgeJson('stages/1/plan.json', (plan: { poolShards: number[] }) => plan.poolShards.pop()),
      /plan\.json: it is not the plan that the configuration and the corpus give/,
    ],
    [
      'a plan as another version made it',
      async () => {
        await forgeJson('stages/1/plan.json', (plan: { poolShards: number[] }) => plan.poolShards.pop());
        const older = (run: RunRecord) => {
          run.versions.mates = '0.1.0';
          return run;
        };
        await forgeJson(RUN_FILE, older as (value: never) => void);
        const manifest = await getJson<Manifest>(copy, MANIFEST_FILE);
        await putJson(copy, MANIFEST_FILE, { ...manifest, run: older(manifest.run) });
      },
      /plan\.json: .* corpus give in version \S+\. Version 0\.1\.0 made it: verify the run with that one\.$/,
    ],
    [
      'a row that another stage has',
      () => parquet(selection, 'row', (rows) => rows.splice(0, 1, 0)),
      /selection\.parquet: row 0 is not of the stage's candidate pool/,
    ],
    [
      'a row that is selected twice',
      () => parquet(selection, 'row', (rows) => rows.splice(1, 1, rows[0]!)),
      /selection\.parquet: row (\d+) comes after row \1/,
    ],
    [
      'a key below the threshold',
      () => parquet(selection, 'key', (keys) => keys.splice(0, 1, 5)),
      /selection\.parquet: the key of row \d+ is below the threshold/,
    ],
    [
      'a threshold that no key has',
      () => forgeJson('stages/1/selection.json', (file: { threshold: number }) => file.threshold--),
      /selection\.parquet: 0 keys equal the threshold, and tiesKept is 1/,
    ],
    [
      'another cut than that of the scores',
      async () => {
        const { threshold } = await getJson<{ threshold: number }>(copy, 'stages/1/selection.json');
        await forgeJson('stages/1/selection.json', (file: { threshold: number }) => file.threshold--);
        await parquet(selection, 'key', (keys) => keys.splice(keys.indexOf(threshold), 1, threshold - 1));
      },
      /selection\.json: threshold and tiesKept are (\d+) and 1, and the scores' keys give (?!\1)\d+ and 1/,
    ],
    [
      'domains that do not add up',
      () =>
        forgeJson('stages/1/selection.json', (file: { poolDomains: Record<string, number> }) => {
          file.poolDomains.logs!++;
        }),
      /selection\.json: poolDomains does not add up to poolRows/,
    ],
    [
      'selected domains that do not add up',
      () =>
        forgeJson('stages/1/selection.json', (file: { selectedDomains: Record<string, number> }) => {
          file.selectedDomains.logs!++;
        }),
      /selection\.json: selectedDomains does not add up to selectedRows/,
    ],
    [
      'another number of selected rows',
      () => forgeJson('stages/1/selection.json', (file: { selectedRows: number }) => file.selectedRows++),
      /selection\.json: selectedRows is \d+, and the plan has \d+/,
    ],
    [
      'another number of rows in the pool',
      () => forgeJson('stages/1/control/selection.json', (file: { poolRows: number }) => file.poolRows--),
      /control\/selection\.json: poolRows is \d+, and the plan has \d+/,
    ],
    [
      'a curve of other steps',
      () => forgeJson('stages/1/metrics.json', (file: { firstStep: number }) => file.firstStep--),
      /metrics\.json: firstStep is 7, and the plan has 8/,
    ],
    [
      'a curve that lacks a step',
      () => forgeJson('stages/1/metrics.json', (file: { learningRate: number[] }) => file.learningRate.pop()),
      /metrics\.json: learningRate has 7 entries for 8 steps/,
    ],
    [
      'a checkpoint of another step',
      () =>
        forgeJson('stages/1/checkpoint/training.json', (file: { state: { step: number } }) => {
          file.state.step = 9;
        }),
      /training\.json: it was saved after step 9, and the stage ends with 16/,
    ],
    [
      'a loss that is no number',
      () => forgeJson('stages/1/control/metrics.json', (file: { loss: unknown[] }) => file.loss.splice(2, 1, null)),
      /control\/metrics\.json: loss is null at step 10/,
    ],
    [
      'a row that was probed twice',
      () => probes(({ row }) => row.splice(1, 1, row[0]!)),
      /00001\.parquet: row (\d+) was probed twice/,
    ],
    [
      'a row that was probed and is of a pool',
      () => probes(({ row }) => row.splice(0, 1, 0)),
      /00001\.parquet: row 0 is not of the hold-out/,
    ],
    [
      'fewer probed rows than planned',
      () =>
        probes(({ row, influence }) => {
          row.pop();
          influence.pop();
        }),
      /probes\S*: 11 rows were probed, and the plan has 12/,
    ],
    [
      'an influence that is no number',
      () => probes(({ influence }) => influence.splice(0, 1, Number.POSITIVE_INFINITY)),
      /00001\.parquet: the influence of row \d+ is Infinity/,
    ],
    [
      'an evaluation of another step',
      () => forgeJson('stages/1/control/evaluation.json', (file: { step: number }) => file.step--),
      /control\/evaluation\.json: it is of step 15, and the stage ends with 16/,
    ],
    [
      'a held-out loss that is no number',
      () => forgeJson('stages/1/evaluation.json', (file: { heldOutLoss: unknown }) => (file.heldOutLoss = null)),
      /evaluation\.json: heldOutLoss is null/,
    ],
    [
      'a selection by another method than that of the scorer',
      () => forgeJson('stages/1/selection.json', (file: { method: string }) => (file.method = 'dsir')),
      /selection\.json: method is dsir, and the scorer has influence/,
    ],
  ])('%s', async (_, spoil, message) => {
    await spoil();
    await expect(verify()).rejects.toThrow(message);
  });
});

describe('a run that has not finished', () => {
  it('is checked by the hashes that its files record', async () => {
    await copy.delete(MANIFEST_FILE);
    const found = await verify();
    expect(found).toMatchObject({ finished: false, stages: 0 });
    expect(found.files).toBeGreaterThan(40);
    await expect(verify(true)).rejects.toThrow(/^--inputs: \S+ has no manifest\.json, .* leave --inputs out\.$/);
    await edit('stages/0/checkpoint/model.safetensors', flip);
    await expect(verify()).rejects.toThrow('stages/0/checkpoint/model.safetensors is damaged');
  });
});

describe('mates verify', () => {
  it('says what it checked, of a run and of its corpus', async () => {
    const run = await mates('verify', folder, '--inputs', '--json');
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/a finished run; \d+ files, .* its 2 stages are consistent\./);
    expect(JSON.parse(run.stdout.trim().split('\n').at(-1)!)).toMatchObject({ kind: 'run', finished: true, stages: 2 });
    const corpus = await mates('verify', join(folder, 'corpus'));
    expect(corpus.stdout).toMatch(/a corpus; 37 files/); // three of each of the 12 shards, and the tokenizer
  });

  it('refuses to check the inputs of a corpus, as it does not know their folder', async () => {
    const { code, stdout, stderr } = await mates('verify', join(folder, 'corpus'), '--inputs');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^mates: --inputs: \S+corpus is a corpus, .* repeat the command that prepared it/);
  });

  it('ends with 1 and the first fault', async () => {
    await edit('corpus/shards/00000.domains.bin', flip);
    for (const path of [folder, join(folder, 'corpus')]) {
      const { code, stderr, stdout } = await mates('verify', path);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/mates: .*shards\/00000\.domains\.bin is damaged/);
    }
  });

  it('ends with 1 where there is no run and no corpus', async () => {
    const { code, stderr } = await mates('verify', inputs);
    expect(code).toBe(1);
    expect(stderr).toContain('neither a run (no run.json) nor a corpus');
  });
});
