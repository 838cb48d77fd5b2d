/** The jobs as they are bundled for the images. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { beforeAll, expect, it } from 'vitest';
import type { PackingThread } from '../../core/corpus/packing/pack-shards.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { temporaryFolder } from '../support.ts';
import { filesOf, TinyRun, tinyConfig } from './support.ts';

const execute = promisify(execFile);
let image: string;
let jobs: string;
let tiny: TinyRun;

beforeAll(async () => {
  image = await temporaryFolder();
  jobs = join(image, 'dist/jobs');
  await execute('sh', ['containers/bundle.sh', image]);
  tiny = await TinyRun.create(tinyConfig());
});

it('every part of the bundled jobs is a module that Node can read', async () => {
  const check = `
    const { readdirSync, readFileSync } = require('node:fs');
    const parts = readdirSync('.').filter((name) => name.endsWith('.js'));
    for (const identifier of parts)
      new (require('node:vm').SourceTextModule)(readFileSync(identifier, 'utf8'), { identifier });
    console.log(parts.length);`;
  const flags = ['--experimental-vm-modules', '--no-warnings', '--eval', check];
  const { stdout } = await execute(process.execPath, flags, { cwd: jobs });
  expect(Number(stdout)).toBeGreaterThan(10);
});

it('the bundled jobs prepare a corpus of the same bytes', async () => {
  await execute(process.execPath, [join(jobs, 'main.js'), 'prepare'], {
    env: { ...process.env, MATES_RUN_URI: tiny.directory },
  });
  const bundled = await filesOf(tiny.store, 'corpus/');
  await tiny.store.delete('corpus/corpus.json');
  await tiny.prepare();
  expect(await filesOf(tiny.store, 'corpus/')).toEqual(bundled);
});

it('the packing thread of the bundled jobs starts', async () => {
  const workerData: PackingThread = {
    setup: {
      directory: image,
      counts: [0],
      names: [],
      domains: ['mixed'],
      sequenceLength: 8,
      idBytes: 2,
      stop: new Int32Array(new SharedArrayBuffer(4)),
    },
    tokenizer: Buffer.from(trainBpe(['a text'], 260)),
    endOfText: 0,
    target: tiny.store.uri,
  };
  const thread = new Worker(join(jobs, 'packing-worker.js'), { workerData });
  expect(await once(thread, 'message')).toEqual([{ result: 'ready' }]);
  await thread.terminate();
});
