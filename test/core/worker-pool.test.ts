import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, errorNamed, InputError, InterruptedError, RunError } from '../../core/errors.ts';
import { WorkerPool } from '../../core/threads/worker-pool.ts';

const CLASSES = [ConfigError, InputError, RunError, InterruptedError];

describe('the error of a thread', () => {
  let pool: WorkerPool<string, void>;
  beforeAll(async () => {
    const source = new URL('./failing-worker.ts', import.meta.url).href;
    pool = await WorkerPool.start({ source, bundled: '', called: 'failing thread', remedy: '' }, [{}]);
  });
  afterAll(() => pool.close());

  it.each(CLASSES)('keeps its class and message: %s', async (Thrown) => {
    const error = await pool.ask(0, Thrown.name).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(Thrown);
    expect((error as Error).message).toBe('web.jsonl, line 3: no text');
  });

  it.each(['RangeError', 'constructor'])('that is none of ours tells of the thread: %s', async (name) => {
    const error = await pool.ask(0, name).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RunError);
    expect((error as Error).message).toBe('failing thread 1 of 1 failed: web.jsonl, line 3: no text');
  });
});

it('an error without a name is a RunError', () => {
  expect(errorNamed(undefined, 'it failed')).toEqual(new RunError('it failed'));
});
