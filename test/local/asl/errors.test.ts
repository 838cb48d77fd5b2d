import { describe, expect, it } from 'vitest';
import { History } from '../../../local/asl/frame.ts';
import { execute } from '../../../local/asl/interpreter.ts';
import { type Json, StatesError, type TaskCall } from '../../../local/asl/types.ts';
import { check, never, one, TASK, task, trial } from './fake.ts';

const machine = (fields: object) => ({
  StartAt: 'T',
  States: { T: task(fields), Caught: { Type: 'Succeed' } },
});
const caught = (ErrorEquals: string[], fields = {}) => machine({ Catch: [{ ErrorEquals, Next: 'Caught', ...fields }] });
/** Fails with each of the names in turn, then succeeds. */
const failing = (...names: string[]) => {
  const left = [...names];
  return (): Json => {
    const name = left.shift();
    if (name) throw new StatesError(name, 'because');
    return 'done';
  };
};
const again = (name: string, times: number) => failing(...Array<string>(times).fill(name));

describe('Retry', () => {
  const spare = { Catch: [{ ErrorEquals: ['Other'], Next: 'Caught' }] };

  it.each([
    ['the default: 3 attempts, 1 s, doubled', { ErrorEquals: ['A'] }, 3, [1, 2, 4]],
    ['BackoffRate 1.5', { ErrorEquals: ['A'], IntervalSeconds: 3, MaxAttempts: 2, BackoffRate: 1.5 }, 2, [3, 4.5]],
    [
      'MaxDelaySeconds',
      { ErrorEquals: ['A'], IntervalSeconds: 3, MaxAttempts: 4, MaxDelaySeconds: 10 },
      4,
      [3, 6, 10, 10],
    ],
    ['full jitter', { ErrorEquals: ['A'], IntervalSeconds: 2, JitterStrategy: 'FULL' }, 2, [1, 2]],
    ['States.ALL', { ErrorEquals: ['States.ALL'] }, 1, [1]],
  ])('%s', async (_, retrier, failures, sleeps) => {
    const enough = await trial(
      machine({ Retry: [retrier], Catch: [{ ErrorEquals: ['A'], Next: 'Caught' }] }),
      {},
      {
        tasks: again('A', failures),
      },
    );
    expect(enough.output).toBe('done');
    expect(enough.clock.sleeps).toEqual(sleeps);
  });

  it.each([
    ['MaxAttempts is used up', { ErrorEquals: ['A'], MaxAttempts: 2 }, again('A', 3)],
    ['MaxAttempts 0 is never', { ErrorEquals: ['A'], MaxAttempts: 0 }, again('A', 1)],
    ['another error', { ErrorEquals: ['B'] }, again('A', 1)],
    ['States.Runtime is never retried', { ErrorEquals: ['States.ALL'] }, again('States.Runtime', 1)],
    ['States.DataLimitExceeded is not in ALL', { ErrorEquals: ['States.ALL'] }, again('States.DataLimitExceeded', 1)],
  ])('%s: fails', async (_, retrier, tasks) => {
    expect((await trial(machine({ Retry: [retrier], ...spare }), {}, { tasks })).error).toBeInstanceOf(StatesError);
  });

  it('counts each retrier by itself', async () => {
    const Retry = [
      { ErrorEquals: ['A'], MaxAttempts: 2 },
      { ErrorEquals: ['States.ALL'], MaxAttempts: 1, IntervalSeconds: 7 },
    ];
    const outcome = await trial(one(task({ Retry })), {}, { tasks: failing('A', 'B', 'A') });
    expect(outcome.output).toBe('done');
    expect(outcome.clock.sleeps).toEqual([1, 7, 2]);
  });
});

describe('Catch', () => {
  it.each([
    ['by name', caught(['X', 'A']), { Error: 'A', Cause: 'because' }],
    ['ALL', caught(['States.ALL']), { Error: 'A', Cause: 'because' }],
    ['ResultPath', caught(['A'], { ResultPath: '$.error' }), { in: 1, error: { Error: 'A', Cause: 'because' } }],
  ])('%s', async (_, definition, output) => {
    expect((await trial(definition, { in: 1 }, { tasks: again('A', 9) })).output).toEqual(output);
  });

  it('the first that matches counts', async () => {
    const Catch = [
      { ErrorEquals: ['B'], Next: 'Caught' },
      { ErrorEquals: ['A'], Next: 'Caught', ResultPath: '$.named' },
      { ErrorEquals: ['States.ALL'], Next: 'Caught', ResultPath: '$.any' },
    ];
    const outcome = await trial(machine({ Catch }), {}, { tasks: again('A', 9) });
    expect(outcome.output).toEqual({ named: { Error: 'A', Cause: 'because' } });
  });

  it('comes after the retries', async () => {
    const definition = machine({
      Retry: [{ ErrorEquals: ['A'], MaxAttempts: 1 }],
      Catch: [{ ErrorEquals: ['A'], Next: 'Caught' }],
    });
    const outcome = await trial(definition, {}, { tasks: again('A', 5) });
    expect(outcome.output).toEqual({ Error: 'A', Cause: 'because' });
    expect(outcome.clock.sleeps).toEqual([1]);
  });

  it('leaves States.Runtime alone; DataLimitExceeded must be named', async () => {
    expect((await trial(caught(['States.ALL']), {}, { tasks: again('States.Runtime', 1) })).error?.error).toBe(
      'States.Runtime',
    );
    expect((await trial(caught(['States.Runtime']), {}, { tasks: again('States.Runtime', 1) })).error).toBeDefined();
    const named = await trial(caught(['States.DataLimitExceeded']), {}, { tasks: () => 'x'.repeat(300_000) });
    expect(named.output).toMatchObject({ Error: 'States.DataLimitExceeded' });
  });

  it('catches what a payload template fails with', async () => {
    const outcome = await trial(
      machine({ Parameters: { 'x.$': '$.none' }, Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }] }),
    );
    expect(outcome.output).toMatchObject({ Error: 'States.ParameterPathFailure' });
  });

  it('an error that is no StatesError ends the run as it is', async () => {
    const bug = new TypeError('a bug');
    const tasks = () => {
      throw bug;
    };
    await expect(trial(caught(['States.ALL']), {}, { tasks })).rejects.toBe(bug);
  });
});

describe('Fail', () => {
  it.each([
    [{ Error: 'E' }, 'E', undefined],
    [{ ErrorPath: '$.e.Error', CausePath: '$.e.Cause' }, 'Deep', 'why'],
    [{ Error: 'E', CausePath: "States.Format('{}!', $.e.Cause)" }, 'E', 'why!'],
    [{ ErrorPath: '$.n' }, 'States.Runtime', "It.ErrorPath: '$.n' must lead to a string."],
    [{ ErrorPath: '$.none' }, 'States.Runtime', expect.stringContaining("'$.none'")],
  ])('%j', async (fields, error, cause) => {
    const outcome = await trial(one({ Type: 'Fail', ...fields }), { n: 1, e: { Error: 'Deep', Cause: 'why' } });
    expect(outcome.error).toMatchObject({ error, cause });
  });
});

describe('timeouts and aborts', () => {
  it('a task that takes too long is aborted, then States.Timeout', async () => {
    let aborted = 0;
    const tasks = (call: TaskCall) => {
      call.signal.addEventListener('abort', () => aborted++);
      return never(call);
    };
    const definition = machine({
      TimeoutSeconds: 60,
      Retry: [{ ErrorEquals: ['States.Timeout'], MaxAttempts: 1 }],
      Catch: [{ ErrorEquals: ['States.Timeout'], Next: 'Caught' }],
    });
    const outcome = await trial(definition, {}, { tasks });
    expect(outcome.output).toMatchObject({ Error: 'States.Timeout' });
    expect(outcome.clock.sleeps).toEqual([60, 1, 60]);
    expect(aborted).toBe(2);
  });

  it('a task that ends with an error of its own when it is aborted has timed out all the same', async () => {
    const tasks = ({ signal }: TaskCall) =>
      new Promise<Json>((_, reject) => signal.addEventListener('abort', () => reject(new StatesError('Killed'))));
    expect((await trial(one(task({ TimeoutSeconds: 60 })), {}, { tasks })).error?.error).toBe('States.Timeout');
  });

  it('the execution has a timeout that nothing catches', async () => {
    const definition = { TimeoutSeconds: 100, ...caught(['States.ALL']) };
    expect((await trial(definition, {}, { tasks: never })).error?.error).toBe('States.Timeout');
    expect((await trial(definition, { a: 1 })).output).toEqual({ a: 1 });
  });

  it('a task that fails once the run is told to stop is neither retried nor caught', async () => {
    const stop = new AbortController();
    const tasks = () => {
      stop.abort(new Error('told to stop'));
      throw new StatesError('A', 'because');
    };
    const definition = machine({ Retry: [{ ErrorEquals: ['A'] }], Catch: [{ ErrorEquals: ['A'], Next: 'Caught' }] });
    const { error, clock } = await trial(definition, {}, { tasks, signal: stop.signal });
    expect(error?.error).toBe('A');
    expect(clock.sleeps).toEqual([]);
  });

  it('an abort rejects with its reason, in the midst of a task or before it', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const tasks = (call: TaskCall) => {
      queueMicrotask(() => stop.abort(reason));
      return never(call);
    };
    await expect(trial(caught(['States.ALL']), {}, { tasks, signal: stop.signal })).rejects.toBe(reason);
    await expect(trial(caught(['States.ALL']), {}, { signal: stop.signal })).rejects.toBe(reason);
  });
});

it('a run that is told to stop begins no other state', async () => {
  const stop = new AbortController();
  const reason = new Error('told to stop');
  const begun: string[] = [];
  const tasks = ({ state }: TaskCall): Json => {
    begun.push(state);
    stop.abort(reason);
    return 'done';
  };
  const two = { StartAt: 'A', States: { A: { Type: 'Task', Resource: TASK, Next: 'B' }, B: task({}) } };
  await expect(trial(two, {}, { tasks, signal: stop.signal })).rejects.toBe(reason);
  expect(begun).toEqual(['A']);
});

describe('history', () => {
  const environment = { runTask: async () => null, readJson: async () => [], sleep: async () => {}, random: () => 0 };

  it('counts the events that the service would', async () => {
    // ExecutionStarted, entered, exited, ExecutionSucceeded
    expect((await trial(one({ Type: 'Succeed' }))).history).toBe(4);
    // and TaskScheduled, TaskStarted, TaskSucceeded
    expect((await trial(one(task({})))).history).toBe(7);
  });

  it('has room for 25,000', () => {
    const history = new History();
    history.add(...Array<string>(25_000).fill('Event'));
    expect(() => history.add('Event')).toThrow('25000');
  });

  it('stops an endless loop at 25,000', async () => {
    const loop = {
      StartAt: 'A',
      States: {
        A: { Type: 'Choice', Choices: [{ Variable: '$.x', BooleanEquals: true, Next: 'B' }], Default: 'A' },
        B: { Type: 'Succeed' },
      },
    };
    const run = execute(check(loop), { x: false }, environment, { name: 'x' });
    await expect(run).rejects.toMatchObject({ error: 'States.Runtime', cause: expect.stringContaining('25000') });
  });
});
