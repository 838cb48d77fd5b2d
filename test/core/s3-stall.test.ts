import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it, vi } from 'vitest';
import { S3Store, s3Client } from '../../core/storage/index.ts';

let requests = 0;
/** Of two requests the first gets a tenth of its answer and nothing more. */
const server = createServer((_, response) => {
  response.writeHead(200, { 'content-length': '1000' });
  if (++requests === 1) response.write(Buffer.alloc(100));
  else response.end(Buffer.alloc(1000, 7));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  vi.unstubAllEnvs();
});

it('asks S3 again where an answer stalls', async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const [name, value] of [
    ['AWS_REGION', 'us-east-1'],
    ['AWS_ACCESS_KEY_ID', 'test'],
    ['AWS_SECRET_ACCESS_KEY', 'test'],
  ] as const)
    vi.stubEnv(name, value);
  const store = new S3Store('bucket', 'runs/x', s3Client({ connectionTimeout: 1000, socketTimeout: 100 }));
  expect(await store.get('scores')).toEqual(new Uint8Array(1000).fill(7));
  expect(requests).toBe(2);
});
