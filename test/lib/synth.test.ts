import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { FUNCTION_NAMES } from '../../lib/compute/function-code.ts';
import { PROJECT_ROOT } from '../../lib/project.ts';
import { temporaryFolder } from '../support.ts';

let outdir: string;
beforeAll(async () => {
  outdir = await temporaryFolder();
});

it('cdk synth needs no network, account or Docker, and bundles every function', async () => {
  await promisify(execFile)(
    process.execPath,
    ['node_modules/aws-cdk/bin/cdk', 'synth', '--quiet', '--output', outdir, '--no-version-reporting', '--no-notices'],
    {
      cwd: PROJECT_ROOT,
      env: {
        HOME: outdir,
        // No credentials; nothing but Node and the shell; a proxy that refuses every connection.
        PATH: [dirname(process.execPath), '/bin'].join(':'),
        HTTP_PROXY: 'http://127.0.0.1:9',
        HTTPS_PROXY: 'http://127.0.0.1:9',
        AWS_EC2_METADATA_DISABLED: 'true',
      },
    },
  );
  const files = await readdir(outdir, { recursive: true });
  expect(files).toContain('MatesData.template.json');
  expect(files).toContain('MatesPipeline.template.json');
  const bundles = files.filter((file) => file.endsWith('index.mjs'));
  expect(bundles.map((file) => basename(dirname(file))).sort()).toEqual([...FUNCTION_NAMES].sort());
  expect(new Set(bundles.map((file) => dirname(dirname(file)))).size).toBe(1); // one asset
  // What a bundle lacks shows only when it is loaded.
  for (const bundle of bundles) expect(await import(join(outdir, bundle))).toHaveProperty('handler');
  // The image's context is staged whole and alone.
  expect(files.some((file) => file.endsWith('containers/main.ts'))).toBe(true);
  expect(files.some((file) => file.includes('node_modules') || file.endsWith('report'))).toBe(false);
}, 300_000);
