import { expect, it } from 'vitest';
import { InputError, TransientError } from '../../core/errors.ts';
import { retriable } from '../../functions/retriable.ts';

const failing = (error: Error) =>
  retriable(async (_event: object) => {
    throw error;
  })({});

it.each([
  ['a throttled request', { name: 'SlowDown', $metadata: { httpStatusCode: 503 } }],
  ['a fault of the service', { name: 'InternalError', $fault: 'server', $metadata: { httpStatusCode: 500 } }],
  ['a lost connection', { code: 'ECONNRESET' }],
])('%s is called what the state machine tries again', async (_, told) => {
  const attempt = failing(Object.assign(new Error('it failed'), told));
  await expect(attempt).rejects.toThrow(TransientError);
  await expect(attempt).rejects.toThrow(/: it failed$/);
});

it.each([
  new InputError('a.jsonl: no such file.'),
  Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }),
  new TypeError('our own mistake'),
])('%s stays what it is', async (error) => {
  await expect(failing(error)).rejects.toBe(error);
});
