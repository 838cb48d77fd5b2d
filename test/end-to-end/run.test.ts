/** Whole runs of a tiny configuration through the command line: determinism, resumption, and what must never happen. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { holdOut } from '../../containers/hold-out.ts';
import { parseConfig } from '../../core/config/load.ts';
import { openCorpus } from '../../core/corpus/corpus.ts';
import type { Manifest, RunSummary, StagePlan } from '../../core/formats.ts';
import { readParquet } from '../../core/parquet.ts';
import { trainingOrder } from '../../core/plan/training-order.ts';
import { openRun } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { DirectoryStore, getJson, storeOpener } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { Trainer } from '../../engine/trainer.ts';
import { temporaryFolder } from '../support.ts';
import { hashes, mates, readManifest, startMates, TINY, writeConfig } from './support.ts';

const SELECTIONS = /selection\.parquet$/;
const RESULTS = /(selection\.parquet|selection\.json|safetensors|metrics\.json|evaluation\.json|fit\.json|probes\/.*)$/;

let folder: string;
let config: string;
let out: string;
let manifest: Manifest;
let store: DirectoryStore;

beforeAll(async () => {
  folder = await temporaryFolder();
  config = await writeConfig(folder);
  out = join(folder, 'reference');
  const { code, stderr, stdout } = await mates('run', config, '--out', out);
  expect({ code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, stderr: '' });
  manifest = readManifest(out);
  store = new DirectoryStore(join(out, 'runs', 'tiny'));
});

const plan = (stage: number) => getJson<StagePlan>(store, `stages/${stage}/plan.json`);
const selection = async (stage: number, arm: 'main' | 'control' = 'main') => {
  const key = `stages/${stage}/${arm === 'control' ? 'control/' : ''}selection.parquet`;
  return (await readParquet({ store, key }, { row: 'INT64' })).row;
};

describe('a finished run', () => {
  it('has a summary of every stage with both arms, a manifest and a report', async () => {
    const summary = await getJson<RunSummary>(store, 'summary.json');
    expect(summary.stages.map(({ scored }) => scored)).toEqual([false, true, true]);
    expect(summary.stages[0]!.control).toBeUndefined();
    for (const stage of summary.stages.slice(1)) {
      expect(stage.spearman).toBeTypeOf('number');
      expect(stage.control!.referenceLoss).toBeGreaterThan(0);
    }
    expect(readFileSync(join(out, 'runs/tiny/report.html'), 'utf8')).toContain('<svg');
    expect(manifest.inputs.map(({ uri }) => uri.split('/').at(-1))).toEqual([
      'novels-austen.jsonl',
      'dictionary.jsonl',
      'logs.jsonl',
      'reference.jsonl',
      'held-out.jsonl',
    ]);
  });

  it('leaves no temporary or half-written file', () => {
    const files = readdirSync(join(out, 'runs/tiny'), { recursive: true }).map(String);
    expect(files.filter((name) => /partial|\.lock|spool/.test(name))).toEqual([]);
  });

  it('never trains on a hold-out row, nor uses a row twice in an arm', async () => {
    const corpus = await openCorpus(new DirectoryStore(join(out, 'runs/tiny/corpus')));
    for (const arm of ['main', 'control'] as const) {
      const used = [...(await selection(0)), ...(await selection(1, arm)), ...(await selection(2, arm))];
      expect(new Set(used).size).toBe(used.length);
      const { holdOutShards } = await plan(1);
      for (const row of used) expect(holdOutShards).not.toContain(corpus.shardOf(row));
    }
  });

  it('never uses a document twice: no document id is in two pools or in the hold-out and a pool', async () => {
    const corpusStore = new DirectoryStore(join(out, 'runs/tiny/corpus'));
    const corpus = await openCorpus(corpusStore);
    const owner = new Map<string, string>();
    for (let stage = 0; stage < 3; stage++) {
      const { poolShards, holdOutShards } = await plan(stage);
      for (const [name, shards] of [
        [`stage ${stage}`, poolShards],
        ['hold-out', holdOutShards],
      ] as const)
        for (const shard of shards) {
          const { key } = corpus.index.shards[shard]!.text;
          const { documents } = await readParquet({ store: corpusStore, key }, { documents: 'STRING' });
          for (const id of documents.flatMap((ids) => JSON.parse(ids) as string[])) {
            expect(owner.get(id) ?? name).toBe(name);
            owner.set(id, name);
          }
        }
    }
    expect(owner.size).toBeGreaterThan(100);
  });

  it('probes only hold-out rows, and none that the per-domain losses are measured on', async () => {
    const corpus = await openCorpus(new DirectoryStore(join(out, 'runs/tiny/corpus')));
    const stage = await plan(1);
    const { evaluation } = await holdOut(await openRun(storeOpener(), join(out, 'runs/tiny')), corpus, stage);
    const measuredOn = new Set([...evaluation.values()].flat());
    expect(measuredOn.size).toBeGreaterThan(0);
    for (const index of [0, 1]) {
      const { row } = await readParquet({ store, key: `stages/1/probes/0000${index}.parquet` }, { row: 'INT64' });
      for (const one of row) {
        expect(stage.holdOutShards).toContain(corpus.shardOf(one));
        expect(measuredOn.has(one)).toBe(false);
      }
    }
  });

  it('carries weights, moments and step count into the next stage', async () => {
    const resolved = parseConfig(TINY, 'tiny');
    const corpus = await openCorpus(new DirectoryStore(join(out, 'runs/tiny/corpus')));
    const { consumedRows, steps } = await plan(1);
    const order = trainingOrder(await selection(1), consumedRows, resolved.seed, 1);
    const expected = (await loadCheckpoint(store, 'stages/1/checkpoint')).parameters.flat;
    const trained = async (keepMoments: boolean) => {
      const { shape, parameters, optimizer } = await loadCheckpoint(store, 'stages/0/checkpoint');
      expect(optimizer.step).toBe(8);
      const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
      const fresh = new AdamW(parameters.flat.length, resolved.pretrain);
      fresh.step = optimizer.step;
      const adamW = keepMoments ? optimizer : fresh;
      const trainer = new Trainer(model, resolved.pretrain, parameters, adamW);
      for (let t = 0; t < steps; t++) {
        const tokens = await corpus.tokenRows(order.slice(4 * t, 4 * t + 4));
        await trainer.step(tokens, 32, trunkLearningRate(resolved.pretrain, adamW.step));
      }
      return parameters.flat;
    };
    expect(await trained(true)).toEqual(expected);
    expect(await trained(false)).not.toEqual(expected);
  });
});

describe('runs of the same configuration', () => {
  it('give the same bytes with the same seed, whatever the numbers of probing and scoring jobs', async () => {
    const expected = hashes(manifest, RESULTS);
    for (const [probing, scoring] of [
      [2, 2],
      [1, 1],
      [3, 5],
    ]) {
      const other = join(folder, `jobs-${probing}-${scoring}`);
      const set = ['--set', `probe.jobs=${probing}`, '--set', `scoring.jobs=${scoring}`];
      const { code, stderr } = await mates('run', config, '--out', other, ...set);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const pattern = probing === 2 ? RESULTS : /(selection\.parquet|safetensors)$/;
      const wanted = Object.fromEntries(Object.entries(expected).filter(([key]) => pattern.test(key)));
      expect(hashes(readManifest(other), pattern)).toEqual(wanted);
    }
  });

  it('give another selection with another seed, also where the current folder has a tsconfig.json for other imports', async () => {
    const other = join(folder, 'seed');
    const elsewhere = join(folder, 'downloaded');
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object };
    const paths = Object.fromEntries(Object.keys(dependencies).map((name) => [name, ['./data.js']]));
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }));
    await writeFile(join(elsewhere, 'data.js'), 'process.exit(1);');
    const { code, stderr } = await startMates(['run', config, '--out', other, '--seed', '4'], elsewhere).finished;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const [a, b] = [hashes(manifest, SELECTIONS), hashes(readManifest(other), SELECTIONS)];
    for (const key of Object.keys(a)) expect(b[key]).not.toBe(a[key]);
  });

  it('give the same trunk when only the decay branch differs', async () => {
    const other = join(folder, 'decay');
    expect((await mates('run', config, '--out', other, '--set', 'pretrain.decaySteps=0')).code).toBe(0);
    const trunk = /(selection\.parquet|checkpoint\/.*)$/;
    expect(hashes(readManifest(other), trunk)).toEqual(hashes(manifest, trunk));
    expect(hashes(readManifest(other), /evaluation/)).not.toEqual(hashes(manifest, /evaluation/));
  });
});

describe('a run that is killed', () => {
  it('resumes where it was, to the same bytes', async () => {
    const other = join(folder, 'killed');
    const landmarks = [
      'stages/0/partial-checkpoint',
      'stages/1/probes',
      'stages/1/scores',
      'stages/2/control/partial-checkpoint',
    ];
    for (const landmark of landmarks) {
      const { child, finished } = startMates(['run', config, '--out', other]);
      const seen = await appears(join(other, 'runs/tiny', landmark), finished);
      if (seen) process.kill(-child.pid!, 'SIGKILL'); // the whole group: nothing gets a chance to save
      await finished;
    }
    const { code, stderr } = await mates('run', config, '--out', other);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(hashes(readManifest(other), RESULTS)).toEqual(hashes(manifest, RESULTS));
  });

  it('trains deleted checkpoints again, to the same bytes', async () => {
    const other = join(folder, 'deleted');
    await cp(out, other, { recursive: true });
    const stages = join(other, 'runs/tiny/stages');
    for (const lost of ['1/control/checkpoint', '2/checkpoint', '2/control'])
      await rm(join(stages, lost), { recursive: true });
    const { code, stderr } = await mates('run', config, '--out', other);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(readManifest(other)).toEqual(manifest);
  });

  it('by SIGTERM ends with exit code 75 and leaves no process', async () => {
    const other = join(folder, 'stopped');
    const { child, finished } = startMates(['run', config, '--out', other]);
    await appears(join(other, 'runs/tiny/stages/0/plan.json'), finished);
    child.kill('SIGTERM');
    const { code, stderr } = await finished;
    expect(code).toBe(75);
    expect(stderr).toContain('same command resumes');
    expect(() => process.kill(-child.pid!, 0)).toThrow(/ESRCH/);
  });
});

/** Waits until a file or folder is there; false when the process ended first. */
async function appears(path: string, finished: Promise<unknown>): Promise<boolean> {
  let ended = false;
  void finished.then(() => {
    ended = true;
  });
  while (!existsSync(path)) {
    if (ended) return false;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return true;
}
