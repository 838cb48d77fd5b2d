/** Exit codes of a job whose calls to S3 fail: Batch repeats a job after a transient fault, and after no other. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** The SDK's pauses between attempts, which add up to seconds, are cut short. */
const IMPATIENT =
  'const later = globalThis.setTimeout; globalThis.setTimeout = (act, ms, ...rest) => later(act, ms < 9000 ? Math.min(ms, 20) : ms, ...rest);';

it('credentials that the container’s agent does not give are tried for again', async () => {
  const job = promisify(execFile)('node', ['--import', 'tsx', 'containers/main.ts', 'pretrain'], {
    env: {
      PATH: process.env.PATH,
      AWS_REGION: 'us-east-1',
      // Not those of whoever runs this.
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9/',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:9/', // where nothing listens
      MATES_RUN_URI: 's3://bucket/runs/tiny',
    },
  });
  await expect(job).rejects.toMatchObject({
    code: 75,
    stderr: expect.stringMatching(/^Error: The credentials of the job's role cannot be had: /m),
  });
});

it.each([
  ["a fault of the service's own is tried again", 500, 'InternalError', 75],
  ['a refusal is final', 403, 'AccessDenied', 1],
])('%s', async (_, status, error, code) => {
  let asked = 0;
  const service = createServer((_, answer) => {
    asked++;
    answer.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${error}</Code></Error>`);
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  try {
    const { port } = service.address() as AddressInfo;
    const preload = `data:text/javascript,${encodeURIComponent(IMPATIENT)}`;
    const job = promisify(execFile)(
      'node',
      ['--import', 'tsx', '--import', preload, 'containers/main.ts', 'pretrain'],
      {
        env: {
          PATH: process.env.PATH,
          AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
          AWS_REGION: 'us-east-1',
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
          MATES_RUN_URI: 's3://bucket/runs/tiny',
        },
      },
    );
    await expect(job).rejects.toMatchObject({ code });
    expect(asked).toBeGreaterThan(code === 75 ? 7 : 0);
  } finally {
    service.close();
  }
});
