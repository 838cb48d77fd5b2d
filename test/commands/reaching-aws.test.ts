import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { storageErrorInWords } from '../../bin/aws-errors.ts';
import { startMates } from '../end-to-end/support.ts';

it.each([
  ['AWS_DEFAULT_REGION, as the AWS CLI does', undefined, 'eu-west-1'],
  ['AWS_REGION, before that', 'ap-south-1', 'ap-south-1'],
])('takes the region from %s', async (_, region, expected) => {
  let asked: IncomingHttpHeaders = {};
  const service = createServer(({ headers }, answer) => {
    asked = headers;
    answer
      .writeHead(403, { 'content-type': 'text/xml' })
      .end('<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>');
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(service.address() as AddressInfo).port}`);
  vi.stubEnv('AWS_DEFAULT_REGION', 'eu-west-1');
  vi.stubEnv('AWS_REGION', region);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  const { finished } = startMates(['status']);
  vi.unstubAllEnvs();
  const { code, stderr } = await finished;
  service.close();
  expect([code, stderr]).toEqual([1, expect.stringContaining('AccessDenied')]);
  expect(asked.authorization).toContain(`/${expected}/`);
});

it.each([
  [{ name: 'AccessDenied' }, /access is denied: check AWS_PROFILE/],
  [{ name: '403', $metadata: { httpStatusCode: 403 } }, /access is denied/],
  [{ name: '301', $metadata: { httpStatusCode: 301 } }, /in another region/],
  [{ name: 'NoSuchBucket' }, /no such bucket/],
  [{ name: 'Error', code: 'ENOTFOUND' }, /address cannot be found/],
  [{ name: 'ExpiredToken' }, /have expired/],
])('an error of S3 is one sentence: %j', (fields, message) => {
  expect(storageErrorInWords(Object.assign(new Error('?'), fields))).toMatch(message);
  expect(storageErrorInWords(new TypeError('x is not a function'))).toBeUndefined();
});

it('a folder on S3 that cannot be reached is one sentence too', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  const { finished } = startMates(['verify', 's3://bucket/run']);
  vi.unstubAllEnvs();
  const { code, stderr } = await finished;
  expect([code, stderr]).toEqual([
    1,
    'mates: Storage cannot be reached: nothing answers there: check AWS_ENDPOINT_URL.\n',
  ]);
});
