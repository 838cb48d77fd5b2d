import { cp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { Manifest } from '../../core/formats.ts';
import { MANIFEST_FILE } from '../../core/layout.ts';
import { openRun } from '../../core/run/open-run.ts';
import { compareManifests, replaySelection, selectedStages } from '../../core/run/replay.ts';
import { DirectoryStore, getJson, putJson, storeOpener } from '../../core/storage/index.ts';
import { filesOf } from '../containers/support.ts';
import { mates, writeConfig } from '../end-to-end/support.ts';
import { temporaryFolder } from '../support.ts';

/** A run of two stages, as `mates run` makes it. */
let out: string;
let folder: string;
beforeAll(async () => {
  out = await temporaryFolder();
  const config = await writeConfig(out, ({ pretrain }) => {
    pretrain.stages = 2;
  });
  expect((await mates('run', config, '--out', out)).code).toBe(0);
  folder = await temporaryFolder();
});

const original = () => join(out, 'runs', 'tiny');
let copy: DirectoryStore;
beforeEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await cp(original(), folder, { recursive: true });
  copy = new DirectoryStore(folder);
});

const resultOf = (stdout: string) =>
  JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    files: { key: string; same: boolean; difference?: string }[];
  };

it('makes the selections again, with the same bytes, and changes nothing', async () => {
  const before = await filesOf(copy, '');
  const { code, stdout } = await mates('replay', folder, '--json');
  expect(stdout).toMatch(/6 of 6 files have the same bytes again\./);
  expect(code).toBe(0);
  expect(resultOf(stdout).files.map(({ key }) => key)).toEqual([
    'stages/0/selection.parquet',
    'stages/0/selection.json',
    'stages/1/selection.parquet',
    'stages/1/selection.json',
    'stages/1/control/selection.parquet',
    'stages/1/control/selection.json',
  ]);
  expect(await filesOf(copy, '')).toEqual(before);
});

it('makes the scores again, of one stage, and keeps them where it is told to', async () => {
  const work = join(await temporaryFolder(), 'replayed');
  const { code, stdout } = await mates('replay', folder, '--from', 'scores', '--stage', '1', '--work', work, '--json');
  expect(code).toBe(0);
  const { files } = resultOf(stdout);
  expect(files.filter(({ key }) => /\/scores\//.test(key))).toHaveLength(6);
  expect(files.every(({ same }) => same)).toBe(true);
  const again = new DirectoryStore(work);
  const keys = ['stages/1/scores/00001/scores.f32', 'stages/1/selection.parquet'];
  for (const key of keys) expect(await again.get(key)).toEqual(await copy.get(key));
});

it('overwrites a selection that an earlier call has left, and refuses the folder of another run', async () => {
  const work = join(await temporaryFolder(), 'replayed');
  expect((await mates('replay', folder, '--work', work)).code).toBe(0);
  const key = 'stages/1/selection.parquet';
  await new DirectoryStore(work).put(key, await copy.get('stages/1/control/selection.parquet'));
  expect((await mates('replay', folder, '--work', work)).stdout).toMatch(/6 of 6 files/);
  expect(await new DirectoryStore(work).get(key)).toEqual(await copy.get(key));
  await copy.put(
    'run.json',
    Buffer.from(await copy.get('run.json'))
      .toString()
      .replace('"seed": 3', '"seed": 4'),
  );
  const { code, stderr } = await mates('replay', folder, '--work', work);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/--work .*: the folder has parts of another run/)]);
});

it('ends with 1 and says how a selection differs that does not follow from its scores', async () => {
  // The control's random rows take the place of the main arm's.
  for (const name of ['selection.parquet', 'selection.json'])
    await copy.put(`stages/1/${name}`, await copy.get(`stages/1/control/${name}`));
  const { code, stdout, stderr } = await mates('replay', folder);
  expect(code).toBe(1);
  expect(stdout).toMatch(/4 of 6 files have the same bytes again/);
  expect(stderr).toMatch(/stages\/1\/selection\.parquet differs: \d+ of its \d+ rows differ, the first \d+/);
});

it('says how scores differ that the influence model does not give', async () => {
  const key = 'stages/1/scores/00000/scores.f32';
  const scores = new Float32Array((await copy.get(key)).slice().buffer);
  scores[3]! += 0.25;
  await copy.put(key, new Uint8Array(scores.buffer));
  const { code, stdout } = await mates('replay', folder, '--from', 'scores', '--json');
  expect(code).toBe(1);
  const different = resultOf(stdout).files.filter(({ same }) => !same);
  expect(different).toEqual([
    expect.objectContaining({
      key,
      difference: `1 of ${scores.length} scores, by at most 0.25 standard deviations`,
    }),
  ]);
});

it('refuses a URI as the work folder', async () => {
  const { code, stderr } = await mates('replay', folder, '--work', 's3://bucket/replayed');
  expect([code, stderr]).toEqual([2, expect.stringMatching(/--work s3:\/\/bucket\/replayed: .*; name a folder\./)]);
});

it('makes the whole run again', async () => {
  const { code, stdout } = await mates('replay', folder, '--from', 'start', '--work', join(folder, 'again'));
  expect(stdout).toMatch(/(\d+) of \1 files have the same bytes again/);
  expect(code).toBe(0);
});

it('does not accept the run itself, or a copy of it, as a second run', async () => {
  const start = ['replay', folder, '--from', 'start', '--work'];
  const lake = join(folder, 'lake');
  try {
    await symlink(out, lake);
    const itself = await mates('replay', original(), '--from', 'start', '--work', lake);
    expect([itself.code, itself.stderr]).toEqual([2, expect.stringMatching(/--work .*lake: the run itself is there/)]);
    const copied = await mates(...start, out);
    expect([copied.code, copied.stderr]).toEqual([2, expect.stringMatching(/--work .*: a run is already there/)]);
  } finally {
    await rm(lake);
  }
});

it('names the first difference of two manifests in the order of the loop', () => {
  const manifest = (files: Record<string, string>) =>
    ({ outputs: Object.entries(files).map(([key, sha256]) => ({ key, bytes: 1, sha256 })) }) as unknown as Manifest;
  const before = manifest({
    'run.json': 'a',
    'stages/1/checkpoint/model.safetensors': 'b',
    'stages/1/probes/00000.parquet': 'c',
    'stages/1/scores/00000/keys.bin': 'd',
    'stages/2/plan.json': 'e',
    'corpus/corpus.json': 'f',
  });
  const again = manifest({
    'run.json': 'other',
    'stages/1/checkpoint/model.safetensors': 'other',
    'stages/1/probes/00000.parquet': 'other',
    'stages/2/plan.json': 'e',
    'stages/2/dsir.json': 'g',
    'corpus/corpus.json': 'f',
  });
  const found = compareManifests(before, again).map(({ key, difference }) => [key, difference]);
  expect(found).toEqual([
    ['corpus/corpus.json', undefined],
    ['stages/1/probes/00000.parquet', 'other bytes'],
    ['stages/1/scores/00000/keys.bin', 'it was not made again'],
    ['stages/1/checkpoint/model.safetensors', 'other bytes'],
    ['stages/2/plan.json', undefined],
    ['stages/2/dsir.json', 'the run has no such file'],
  ]);
});

it('replays an unfinished run as far as it got', async () => {
  await copy.delete('stages/1/selection.json');
  await copy.delete(MANIFEST_FILE);
  const run = await openRun(storeOpener(), folder);
  expect(await selectedStages(run)).toEqual([0]);
  const again = await temporaryFolder();
  const found = await replaySelection(run, new DirectoryStore(again), 0);
  expect(found.every(({ same }) => same)).toBe(true);
  await expect(selectedStages(run, 1)).rejects.toThrow('stage 1 has no selection');
});

it.each<[string, string[], RegExp, number]>([
  ['a whole run without a folder', ['--from', 'start'], /--from start: name a folder .* with --work/, 2],
  ['one stage of a whole run', ['--from', 'start', '--stage', '1', '--work', 'x'], /--stage: with --from start/, 2],
  ['a step that is none', ['--from', 'probes'], /Allowed choices are selection, scores, start/, 2],
  ['a stage that is none', ['--stage', '7'], /there is no stage 7; the run's last is 1/, 1],
])('refuses %s', async (_, flags, message, status) => {
  const { code, stderr } = await mates('replay', folder, ...flags);
  expect(code).toBe(status);
  expect(stderr).toMatch(message);
});

it.each<[string, string, string[]]>([
  ['replay', 'stages/1/plan.json', []],
  ['export', 'corpus/tokenizer.json', ['--out', 'exported']],
])('mates %s names %s where it is missing, without a stack trace', async (command, key, flags) => {
  await copy.delete(key);
  const rest = flags.map((flag) => (flag === 'exported' ? join(folder, flag) : flag));
  const { code, stderr } = await mates(command, folder, ...rest);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^mates: /.*/${key} does not exist: .*make it again\\.\n$`));
});

it('says so when the run was made with other versions', async () => {
  const record = await getJson<{ versions: Record<string, string> }>(copy, 'run.json');
  record.versions.mates = '0.0.1';
  await putJson(copy, 'run.json', record);
  expect((await mates('replay', folder, '--stage', '0')).stdout).toContain('The run was made with mates 0.0.1');
});
