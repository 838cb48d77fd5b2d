import { beforeAll, expect, it } from 'vitest';
import type { FileRecord } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import type { Run } from '../../core/run/open-run.ts';
import { putFile, putJson } from '../../core/storage/index.ts';
import { MemoryStore } from '../memory-store.ts';

/** Files that are large at paper scale. */
const LARGE = [
  'corpus/shards/00000.tokens.bin',
  'corpus/shards/00000.parquet',
  'corpus/shards/00000.domains.bin',
  'stages/1/scores/00000/scores.f32',
  'stages/1/scores/00000/keys.bin',
  'stages/1/selection.parquet',
  'stages/1/control/checkpoint/model.safetensors',
  'stages/1/checkpoint/optimizer.safetensors',
  'stages/1/probe-model/first/model.safetensors',
];

let store: MemoryStore;
let run: Run;
beforeAll(async () => {
  store = new MemoryStore('memory:run');
  const records: Record<string, FileRecord> = {};
  for (const key of LARGE) records[key] = await putFile(store, key, `content of ${key}`);
  const record = (key: string, from = '') => ({ ...records[from + key]!, key });
  const shard = {
    tokens: record('shards/00000.tokens.bin', 'corpus/'),
    text: record('shards/00000.parquet', 'corpus/'),
    domains: record('shards/00000.domains.bin', 'corpus/'),
  };
  const inputs = [{ uri: 'in.jsonl', bytes: 3, sha256: 'abc', documents: 1 }];
  await putJson(store, 'corpus/corpus.json', { format: 'mates-corpus/1', shards: [shard], inputs });
  await store.put('corpus/tokenizer.json', '{}');
  const [scores, keys] = LARGE.slice(3, 5).map((key) => records[key]);
  await putJson(store, 'stages/1/scores/00000/index.json', { scores, keys });
  await putJson(store, 'stages/1/selection.json', { file: records['stages/1/selection.parquet'] });
  const hashes = (folder: string, file: string) => ({ sha256: { [file]: records[`${folder}/${file}`]!.sha256 } });
  for (const [folder, file] of [
    ['stages/1/checkpoint', 'optimizer.safetensors'],
    ['stages/1/control/checkpoint', 'model.safetensors'],
  ] as const)
    await putJson(store, `${folder}/training.json`, hashes(folder, file));
  await putJson(store, 'stages/1/probe-model/probe.json', hashes('stages/1/probe-model', 'first/model.safetensors'));
  await putJson(store, 'stages/2/probe-model/probe.json', { format: 'mates-probe/1' }); // of an older run
  await store.put('stages/1/timings/score-0.json', '{}');
  await store.put('report.html', '<p>');
  await store.put('passages.jsonl', '{"text":"a"}');
  const passages = { input: 'memory:run/passages.jsonl' };
  const none = { corpus: {}, model: {}, influenceModel: {}, evaluation: { tasks: [] } };
  const config = { ...none, reference: passages, heldOut: passages };
  const runRecord = { id: 'x', corpus: 'corpus', config } as unknown as Run['record'];
  const open = (uri: string) =>
    uri === 'memory:run' ? store : new MemoryStore(uri, prefixed(store.files, uri.slice('memory:run/'.length)));
  run = { store, record: runRecord, open };
});

const prefixed = (files: Map<string, Uint8Array>, folder: string) =>
  new Map(
    [...files].filter(([key]) => key.startsWith(folder)).map(([key, bytes]) => [key.slice(folder.length + 1), bytes]),
  );

it('has the hash of every file, and does not read those that were hashed when they were written', async () => {
  await store.put('stages/1/.DS_Store', 'of the system');
  store.reads.length = 0;
  const { inputs, outputs } = await makeManifest(run);
  const read = new Set(store.reads.map(({ key }) => key));
  for (const key of LARGE) expect(read).not.toContain(key);
  const expected = [...store.files.keys()].filter((key) => !/timings|report\.html|manifest\.json|DS_Store/.test(key));
  expect(outputs.map(({ key }) => key)).toEqual(expected.sort());
  for (const { key, bytes, sha256: hash } of outputs) {
    expect(hash, key).toBe(sha256(store.files.get(key)!));
    expect(bytes, key).toBe(store.files.get(key)!.length);
  }
  const passages = { uri: 'memory:run/passages.jsonl', bytes: 12, sha256: sha256('{"text":"a"}') };
  expect(inputs).toEqual([{ uri: 'in.jsonl', bytes: 3, sha256: 'abc' }, passages, passages]);
});

it('hashes a file again where its size differs from the recorded one', async () => {
  const key = 'stages/1/selection.parquet';
  await store.put(key, 'cut');
  const { outputs } = await makeManifest(run);
  expect(outputs.find((record) => record.key === key)).toEqual({ key, bytes: 3, sha256: sha256('cut') });
});

it('a file that the run has recorded and that is missing is named, with what to delete', async () => {
  const key = 'stages/1/checkpoint/optimizer.safetensors';
  const before = await store.get(key);
  await store.delete(key);
  await expect(makeManifest(run)).rejects.toThrow(
    `memory:run/${key} is missing, which the run wrote. Restore it, or delete the folders of its stage and of the later`,
  );
  await store.put(key, before);
});
