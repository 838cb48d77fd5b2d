import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Json, StatesError, type TaskCall } from '../../../local/asl/types.ts';
import { check, never, one, TASK, trial } from './fake.ts';

const work = { StartAt: 'Work', States: { Work: { Type: 'Task', Resource: TASK, End: true } } };
const inline = (fields: object = {}) => one({ Type: 'Map', End: true, ItemProcessor: work, ...fields });
const distributed = (fields: object = {}, states: object = work) =>
  one({
    Type: 'Map',
    End: true,
    ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' }, ...states },
    ItemReader: {
      Resource: 'arn:aws:states:::s3:getObject',
      ReaderConfig: { InputType: 'JSON' },
      Parameters: { Bucket: 'lake', 'Key.$': '$.key' },
    },
    ...fields,
  });
/** Fails for the given items. */
const failFor =
  (...bad: number[]) =>
  ({ parameters }: TaskCall): Json => {
    if (bad.includes(parameters as number)) throw new StatesError('Bad', `item ${parameters}`);
    return (parameters as number) * 10;
  };
const objects = { 'lake/items.json': [0, 1, 2, 3] };

describe('Parallel', () => {
  const branches = (...states: object[]) =>
    states.map((state, i) => ({
      StartAt: `B${i}`,
      States: { [`B${i}`]: { Type: 'Task', Resource: TASK, End: true, ...state } },
    }));

  it('gives the outputs in the order of its branches', async () => {
    const machine = one({
      Type: 'Parallel',
      End: true,
      Branches: branches({}, { Parameters: 2 }),
      Parameters: { 'v.$': '$.x' },
      ResultSelector: { 'second.$': '$[1]', 'first.$': '$[0]' },
      ResultPath: '$.r',
    });
    expect((await trial(machine, { x: 1 })).output).toEqual({ x: 1, r: { second: 2, first: { v: 1 } } });
  });

  it('stops the other branches when one fails, and can be retried and caught', async () => {
    const stopped: string[] = [];
    const tasks = (call: TaskCall) => {
      if (call.state === 'B1') throw new StatesError('Bad', 'x');
      call.signal.addEventListener('abort', () => stopped.push(call.state));
      return never(call);
    };
    const machine = {
      StartAt: 'P',
      States: {
        P: {
          Type: 'Parallel',
          End: true,
          Branches: branches({}, {}),
          Retry: [{ ErrorEquals: ['Bad'], MaxAttempts: 1 }],
          Catch: [{ ErrorEquals: ['Bad'], Next: 'Done' }],
        },
        Done: { Type: 'Succeed' },
      },
    };
    expect((await trial(machine, {}, { tasks })).output).toEqual({ Error: 'Bad', Cause: 'x' });
    expect(stopped).toEqual(['B0', 'B0']);
  });
});

describe('inline Map', () => {
  it('ItemsPath, ItemSelector and the context', async () => {
    const machine = inline({
      InputPath: '$.in',
      ItemsPath: '$.list',
      ItemSelector: { 'i.$': '$$.Map.Item.Index', 'v.$': '$$.Map.Item.Value.k', 'all.$': '$.stage' },
      ResultPath: '$.out',
    });
    const outcome = await trial(machine, { in: { list: [{ k: 'a' }, { k: 'b' }], stage: 3 } });
    expect((outcome.output as { out: Json }).out).toEqual([
      { i: 0, v: 'a', all: 3 },
      { i: 1, v: 'b', all: 3 },
    ]);
    expect(
      outcome.events.filter(({ state, kind }) => state === 'Work' && kind === 'entered').map(({ items }) => items),
    ).toEqual([[0], [1]]);
    expect(outcome.events.find(({ kind }) => kind === 'items')?.count).toBe(2);
  });

  it('$$.Map is there inside an iteration', async () => {
    const states = {
      StartAt: 'W',
      States: { W: { Type: 'Pass', Parameters: { 'i.$': '$$.Map.Item.Index' }, End: true } },
    };
    expect((await trial(inline({ ItemProcessor: states }), ['a', 'b'])).output).toEqual([{ i: 0 }, { i: 1 }]);
  });

  it('an empty array gives an empty array, anything else fails', async () => {
    expect((await trial(inline(), [])).output).toEqual([]);
    expect((await trial(inline(), {})).error?.error).toBe('States.Runtime');
  });

  it('fails with the error of its iteration', async () => {
    expect((await trial(inline(), [0, 1, 2], { tasks: failFor(1) })).error).toMatchObject({
      error: 'Bad',
      cause: 'item 1',
    });
  });

  it.each([
    [1, 1],
    [3, 3],
    [0, 40],
  ])('MaxConcurrency %i runs %i at once', async (MaxConcurrency, most) => {
    let now = 0;
    let peak = 0;
    const tasks = async ({ parameters }: TaskCall) => {
      peak = Math.max(peak, ++now);
      await setImmediate();
      now--;
      return parameters;
    };
    const items = Array.from({ length: 50 }, (_, i) => i);
    expect((await trial(inline({ MaxConcurrency }), items, { tasks })).output).toEqual(items);
    expect(peak).toBe(most);
  });
});

describe('distributed Map', () => {
  it('reads its items from S3', async () => {
    const outcome = await trial(distributed(), { key: 'items.json' }, { objects, tasks: failFor() });
    expect(outcome.output).toEqual([0, 10, 20, 30]);
  });

  it('or from its input, and at most MaxItems', async () => {
    const machine = distributed({ ItemReader: undefined, ItemsPath: '$.list' });
    delete (machine.States.It as { ItemReader?: object }).ItemReader;
    expect((await trial(machine, { list: [4] }, { tasks: failFor() })).output).toEqual([40]);
    const few = distributed({
      ItemReader: {
        Resource: 'arn:aws:states:::s3:getObject',
        ReaderConfig: { InputType: 'JSON', MaxItems: 2 },
        Parameters: { Bucket: 'lake', Key: 'items.json' },
      },
    });
    expect((await trial(few, {}, { objects })).output).toEqual([0, 1]);
  });

  it('its children are executions of their own', async () => {
    const states = {
      StartAt: 'W',
      States: {
        W: { Type: 'Pass', Parameters: { 'in.$': '$$.Execution.Input', 'name.$': '$$.Execution.Name' }, End: true },
      },
    };
    const machine = distributed(
      { Label: 'score', ItemSelector: { 'v.$': '$$.Map.Item.Value', 'k.$': '$.key' } },
      states,
    );
    const outcome = await trial(machine, { key: 'items.json' }, { objects });
    expect((outcome.output as Json[])[2]).toEqual({ in: { v: 2, k: 'items.json' }, name: 'run-1-score-2' });
    // ExecutionStarted, MapState{Entered,Started}, MapRunStarted, MapRunSucceeded, MapState{Succeeded,Exited}, ExecutionSucceeded
    expect(outcome.history).toBe(8);
    const inside = {
      StartAt: 'W',
      States: { W: { Type: 'Pass', Parameters: { 'i.$': '$$.Map.Item.Index' }, End: true } },
    };
    expect((await trial(distributed({}, inside), { key: 'items.json' }, { objects })).error?.error).toBe(
      'States.ExceedToleratedFailureThreshold',
    );
  });

  it.each([
    ['none by default', {}, [2], undefined],
    ['a count', { ToleratedFailureCount: 1 }, [2], [0, 10, 30]],
    ['a count exceeded', { ToleratedFailureCount: 1 }, [1, 2], undefined],
    ['a percentage', { ToleratedFailurePercentage: 50 }, [1, 2], [0, 30]],
    ['a percentage exceeded', { ToleratedFailurePercentage: 49 }, [1, 2], undefined],
    ['either of both', { ToleratedFailurePercentage: 100, ToleratedFailureCount: 1 }, [1, 2], undefined],
    ['all', { ToleratedFailurePercentage: 100 }, [0, 1, 2, 3], []],
  ])('tolerates failures: %s', async (_, fields, bad, output) => {
    const outcome = await trial(distributed(fields), { key: 'items.json' }, { objects, tasks: failFor(...bad) });
    if (output) expect(outcome.output).toEqual(output);
    else expect(outcome.error?.error).toBe('States.ExceedToleratedFailureThreshold');
  });

  it('stops the other children when the threshold is passed', async () => {
    let stopped = 0;
    const tasks = (call: TaskCall) => {
      if (call.parameters === 3) throw new StatesError('Bad');
      call.signal.addEventListener('abort', () => stopped++);
      return never(call);
    };
    await trial(distributed(), { key: 'items.json' }, { objects, tasks });
    expect(stopped).toBe(3);
  });

  it.each([
    ['no such key', { key: 'other.json' }, 'States.ItemReaderFailed'],
    ['not an array', { key: 'object.json' }, 'States.ItemReaderFailed'],
    ['no key', {}, 'States.ParameterPathFailure'],
  ])('%s', async (_, input, error) => {
    const outcome = await trial(distributed(), input, { objects: { ...objects, 'lake/object.json': {} } });
    expect(outcome.error?.error).toBe(error);
  });

  it('an item may have 256 KiB, the array any size', async () => {
    const text = 'x'.repeat(200_000);
    const large = { 'lake/items.json': [text, text] };
    const machine = distributed({ ResultSelector: { 'count.$': 'States.ArrayLength($)' } });
    expect((await trial(machine, { key: 'items.json' }, { objects: large, tasks: () => 1 })).output).toEqual({
      count: 2,
    });
    // but the results count before ResultSelector makes them small
    expect((await trial(machine, { key: 'items.json' }, { objects: large })).error?.error).toBe(
      'States.DataLimitExceeded',
    );
  });
});

describe('what a Map may not have', () => {
  it.each([
    [inline({ ToleratedFailureCount: 1 }), 'It.ToleratedFailureCount'],
    [inline({ Parameters: {} }), 'It.Parameters'],
    [inline({ Iterator: work }), 'It.Iterator'],
    [distributed({ ResultWriter: {} }), 'It.ResultWriter'],
    [distributed({ ItemBatcher: {} }), 'It.ItemBatcher'],
    [distributed({ MaxConcurrencyPath: '$.n' }), 'It.MaxConcurrencyPath'],
    [distributed({ ItemsPath: '$.list' }), 'expected one of ItemReader, ItemsPath'],
    [distributed({ Label: 'with space' }), 'It.Label'],
    [distributed({ ToleratedFailurePercentage: 101 }), 'It.ToleratedFailurePercentage'],
    [
      distributed({ ItemReader: { Resource: 'arn:aws:states:::s3:listObjectsV2', Parameters: {} } }),
      'It.ItemReader.Resource',
    ],
    [
      distributed({
        ItemReader: { Resource: 'arn:aws:states:::s3:getObject', ReaderConfig: { InputType: 'CSV' }, Parameters: {} },
      }),
      'InputType',
    ],
    [
      one({
        Type: 'Map',
        End: true,
        ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' }, ...work },
      }),
      'only STANDARD',
    ],
  ])('%#', (machine, message) => {
    expect(() => check(machine)).toThrow(message);
  });
});
