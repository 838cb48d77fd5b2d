import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Manifest } from '../../core/formats.ts';
import { TINY_BERT, TINY_CORPUS, TINY_SHAPE, TINY_STAGE } from '../tiny.ts';

export const MINI_CORPUS = resolve('test/fixtures/mini-corpus');

/** A three-stage run that takes seconds: 800 rows of 32 tokens, a model of 20,000 parameters. */
export const TINY = {
  name: 'tiny',
  seed: 3,
  corpus: {
    input: [`${MINI_CORPUS}/novels-austen.jsonl`, `${MINI_CORPUS}/dictionary.jsonl`, `${MINI_CORPUS}/logs.jsonl`],
    ...TINY_CORPUS,
  },
  reference: { input: `${MINI_CORPUS}/reference.jsonl`, passages: 4 },
  heldOut: { input: `${MINI_CORPUS}/held-out.jsonl`, passages: 4 },
  model: TINY_SHAPE,
  pretrain: { stages: 3, ...TINY_STAGE },
  pools: { holdOut: 0.2, warmup: 0.15 },
  probe: { method: 'exact', documents: 40, jobs: 2, flushEvery: 5 },
  influenceModel: { ...TINY_BERT, epochs: 2, testFraction: 0.5 },
  scoring: { jobs: 2, batchDocuments: 32 },
  selection: { fraction: 0.3, classifierWeight: 1 },
  evaluation: { rowsPerDomain: 4 },
  engine: { threads: 1 },
};

/** Writes a configuration and returns its path; `change` edits a copy of {@link TINY}. */
export async function writeConfig(folder: string, change: (config: typeof TINY) => void = () => {}): Promise<string> {
  const config = structuredClone(TINY);
  change(config);
  const path = join(folder, 'config.json');
  await writeFile(path, JSON.stringify(config, null, 2));
  return path;
}

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Starts the command line as a user does, in a folder; `finished` resolves when it ends. */
export function startMates(args: string[], cwd?: string): { child: ChildProcess; finished: Promise<Finished> } {
  const child = spawn(process.execPath, [resolve('bin/mates.js'), ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '' },
    detached: true, // a process group of its own, so that a test can kill all of it
  });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (data) => {
    stdout += data;
  });
  child.stderr!.on('data', (data) => {
    stderr += data;
  });
  const finished = new Promise<Finished>((done) => {
    child.on('close', (code, signal) => done({ code, signal, stdout, stderr }));
  });
  return { child, finished };
}

export const mates = (...args: string[]): Promise<Finished> => startMates(args).finished;

export function readManifest(out: string, id = 'tiny'): Manifest {
  return JSON.parse(readFileSync(join(out, 'runs', id, 'manifest.json'), 'utf8'));
}

/** Hashes of the outputs whose key matches. */
export function hashes(manifest: Manifest, pattern: RegExp): Record<string, string> {
  return Object.fromEntries(
    manifest.outputs.filter(({ key }) => pattern.test(key)).map(({ key, sha256 }) => [key, sha256]),
  );
}
