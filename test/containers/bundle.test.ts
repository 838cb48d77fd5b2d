/** The jobs as the images have them. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { filesOf, TinyRun, tinyConfig } from './support.ts';

const execute = promisify(execFile);
let image: string;
let jobs: string;
let tiny: TinyRun;

beforeAll(async () => {
  image = await mkdtemp(join(tmpdir(), 'mates-image-'));
  jobs = join(image, 'dist/jobs');
  await execute('sh', ['containers/bundle.sh', image]);
  tiny = await TinyRun.create(tinyConfig());
});
afterAll(async () => {
  await tiny?.remove();
  await rm(image, { recursive: true, force: true });
});

it('every part of them is a module that Node can read', async () => {
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

it('they prepare a corpus of the same bytes', async () => {
  await execute(process.execPath, [join(jobs, 'main.js'), 'prepare'], {
    env: { ...process.env, MATES_RUN_URI: tiny.directory },
  });
  const bundled = await filesOf(tiny.store, 'corpus/');
  await tiny.store.delete('corpus/corpus.json');
  await tiny.prepare();
  expect(await filesOf(tiny.store, 'corpus/')).toEqual(bundled);
});
