import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { RUN_FILE } from '../../core/layout.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { DirectoryStore, LAKE_DIRECTORY_VARIABLE, putJson } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

/** A job of a run that does not exist beyond its record; it fails in any case, but not of the same. */
async function refusal(versions: Record<string, string>): Promise<string> {
  const lake = await temporaryFolder();
  const record = { format: 'mates-run/1', id: 'a', config: {}, corpus: 'corpus', versions };
  await putJson(new DirectoryStore(`${lake}/runs/a`), RUN_FILE, record);
  const job = promisify(execFile)('node', ['--import', 'tsx', 'containers/main.ts', 'score'], {
    env: { PATH: process.env.PATH, [LAKE_DIRECTORY_VARIABLE]: lake, MATES_RUN_URI: 's3://lake/runs/a' },
  });
  const { stderr } = await job.catch((error: { stderr: string }) => error);
  return stderr;
}

it('a job in an image of another version than the one that the run began with refuses to work', async () => {
  const now = softwareVersions();
  expect(await refusal({ ...now, 'onnxruntime-node': '1.2.3' })).toBe(
    `ConfigError: run a was begun with onnxruntime-node 1.2.3, and this job's image has ${now['onnxruntime-node']}: ` +
      'deploy the image of the same version (the setting image), and resume the run.\n',
  );
  expect(await refusal({ ...now, node: '99.0.0', trainer: 'python train.py' })).not.toContain('was begun with');
});
