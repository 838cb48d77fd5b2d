import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ConfigError,
  errorNamed,
  explainSystemError,
  InputError,
  InterruptedError,
  RunError,
} from '../../core/errors.ts';
import { isTransient } from '../../core/storage/index.ts';
import { WorkerPool } from '../../core/threads/worker-pool.ts';

let pool: WorkerPool<string, string>;
beforeAll(async () => {
  const source = new URL('./failing-worker.ts', import.meta.url).href;
  pool = await WorkerPool.start({ source, bundled: 'none', called: 'thread', remedy: '' }, [0]);
});
afterAll(() => pool?.close());

const failure = (kind: string) => pool.ask(0, kind).catch((error: unknown) => error);

it.each([
  ['configuration', ConfigError, 'corpus.shards: 0'],
  ['input', InputError, 'in.jsonl:3: no text'],
  ['interrupted', InterruptedError, 'stopped'],
  ['run', RunError, 'it failed'],
  ['other', RunError, 'thread 1 of 1 failed: x is not a function'],
])('an error of a thread keeps its class and message: %s', async (kind, type, message) => {
  const error = await failure(kind);
  expect(error).toBeInstanceOf(type);
  expect((error as Error).message).toBe(message);
});

it('starts from a folder whose name has an apostrophe', async () => {
  const folder = await mkdtemp(join(tmpdir(), "mates's-"));
  try {
    const [file, module] = [join(folder, 'worker.ts'), new URL('../../core/threads/worker-pool.ts', import.meta.url)];
    await writeFile(
      file,
      `import { serve } from ${JSON.stringify(module)}; serve(async () => 'ready', async () => 'done');`,
    );
    const kind = { source: pathToFileURL(file).href, bundled: 'none', called: 'thread', remedy: '' };
    const other = await WorkerPool.start<string, string>(kind, [0]);
    expect(await other.ask(0, 'anything')).toBe('done');
    await other.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('starts where the current folder has no packages', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mates-elsewhere-'));
  try {
    const module = new URL('../../core/threads/worker-pool.ts', import.meta.url).href;
    const source = new URL('./failing-worker.ts', import.meta.url).href;
    const kind = JSON.stringify({ source, bundled: 'none', called: 'thread', remedy: '' });
    const script = `
      const { WorkerPool } = await import(${JSON.stringify(module)});
      const pool = await WorkerPool.start(${kind}, [0]);
      await pool.close();
      console.log('started');`;
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const flags = ['--import', tsx, '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: folder });
    expect(stdout).toBe('started\n');
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('a full disk and a transient error are still recognised', async () => {
  expect(explainSystemError(await failure('disk'))).toMatch(/No space left on the disk \(\/scratch\/00001\.rows\)/);
  expect(await isTransient(await failure('network'))).toBe(true);
  expect(await isTransient(await failure('other'))).toBe(false);
});

it('an error with a name that is not ours, or with none, becomes a RunError', () => {
  for (const name of [undefined, 'constructor', 'RangeError'])
    expect(errorNamed(name, 'it failed')).toEqual(new RunError('it failed'));
});
