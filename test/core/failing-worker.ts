/** A thread that fails as it is asked to; see worker-pool.test.ts. */
import { ConfigError, InputError, InterruptedError, RunError } from '../../core/errors.ts';
import { serve } from '../../core/threads/worker-pool.ts';

const FAILURES: Record<string, () => Error> = {
  configuration: () => new ConfigError('corpus.shards: 0'),
  input: () => new InputError('in.jsonl:3: no text'),
  run: () => new RunError('it failed'),
  interrupted: () => new InterruptedError('stopped'),
  disk: () => Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC', path: '/scratch/00001.rows', errno: -28 }),
  network: () => Object.assign(new Error('slow down'), { name: 'SlowDown', $metadata: { httpStatusCode: 503 } }),
  other: () => new TypeError('x is not a function'),
};

serve<string, string>(
  async () => 'ready',
  async (kind) => {
    throw FAILURES[kind]!();
  },
);
