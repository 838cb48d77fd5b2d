import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Json, StatesError, type TaskCall } from '../../../local/asl/types.ts';
import { check, never, one, task, trial } from './fake.ts';

const work = { StartAt: 'Work', States: { Work: task({}) } };
const inline = (fields: object = {}, states: object = work) =>
  one({
    Type: 'Map',
    End: true,
    ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...states },
    ItemsPath: '$',
    MaxConcurrency: 2,
    ...fields,
  });
const distributed = (fields: object = {}, states: object = work) =>
  one({
    Type: 'Map',
    End: true,
    ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' }, ...states },
    ItemReader: {
      Resource: 'arn:aws:states:::s3:getObject',
      ReaderConfig: { InputType: 'JSON' },
      Parameters: { 'Bucket.$': '$.bucket', 'Key.$': '$.key' },
    },
    Label: 'score',
    MaxConcurrency: 40,
    ...fields,
  });
/** A Work that tells what it can see. */
const telling = (seen: object) => ({ StartAt: 'Work', States: { Work: task({ Parameters: seen }) } });
/** Fails for the given items. */
const failFor =
  (...bad: number[]) =>
  ({ parameters }: TaskCall): Json => {
    if (bad.includes(parameters as number)) throw new StatesError('Bad', `item ${parameters}`);
    return (parameters as number) * 10;
  };
const objects = { 'lake/items.json': [0, 1, 2, 3] };
const items = { bucket: 'lake', key: 'items.json' };

describe('inline Map', () => {
  it('ItemsPath, ItemSelector and ResultPath', async () => {
    const machine = inline({
      ItemsPath: '$.in.list',
      ItemSelector: { 'v.$': '$$.Map.Item.Value.k', 'stage.$': '$.stage' },
      ResultPath: '$.out',
    });
    const seen: number[][] = [];
    const tasks = ({ items, parameters }: TaskCall) => {
      seen.push(items);
      return parameters;
    };
    const outcome = await trial(machine, { in: { list: [{ k: 'a' }, { k: 'b' }] }, stage: 3 }, { tasks });
    expect((outcome.output as { out: Json }).out).toEqual([
      { v: 'a', stage: 3 },
      { v: 'b', stage: 3 },
    ]);
    expect(seen).toEqual([[0], [1]]);
  });

  it('a task in a Map in a Map has the indices of both items, the outer first', async () => {
    const seen: number[][] = [];
    const tasks = ({ items, parameters }: TaskCall) => {
      seen.push(items);
      return parameters;
    };
    const inner = { StartAt: 'Inner', States: { Inner: inline().States.It } };
    await trial(inline({}, inner), [['a', 'b'], ['c']], { tasks });
    expect(seen.sort()).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
  });

  it('$$.Map is there inside an iteration', async () => {
    const machine = inline({}, telling({ 'item.$': '$$.Map.Item.Value' }));
    expect((await trial(machine, ['a', 'b'])).output).toEqual([{ item: 'a' }, { item: 'b' }]);
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

  it('runs as many iterations at once as MaxConcurrency says', async () => {
    let now = 0;
    let peak = 0;
    const tasks = async ({ parameters }: TaskCall) => {
      peak = Math.max(peak, ++now);
      await setImmediate();
      now--;
      return parameters;
    };
    const items = Array.from({ length: 10 }, (_, i) => i);
    expect((await trial(inline({ MaxConcurrency: 3 }), items, { tasks })).output).toEqual(items);
    expect(peak).toBe(3);
  });
});

describe('distributed Map', () => {
  it('reads its items from S3', async () => {
    const outcome = await trial(distributed(), items, { objects, tasks: failFor() });
    expect(outcome.output).toEqual([0, 10, 20, 30]);
  });

  it('its children are executions of their own', async () => {
    const ItemSelector = { 'v.$': '$$.Map.Item.Value', 'k.$': '$.key' };
    const machine = distributed({ ItemSelector }, telling({ 'in.$': '$', 'name.$': '$$.Execution.Name' }));
    const outcome = await trial(machine, items, { objects });
    expect((outcome.output as Json[])[2]).toEqual({ in: { v: 2, k: 'items.json' }, name: 'run-1-score-2' });
    // ExecutionStarted, MapState{Entered,Started}, MapRunStarted, MapRunSucceeded, MapState{Succeeded,Exited}, ExecutionSucceeded
    expect(outcome.history).toBe(8);
    const inside = distributed({}, telling({ 'item.$': '$$.Map.Item.Value' }));
    expect((await trial(inside, items, { objects })).error?.error).toBe('States.ExceedToleratedFailureThreshold');
  });

  it('fails when one of them does', async () => {
    const outcome = await trial(distributed(), items, { objects, tasks: failFor(2) });
    expect(outcome.error?.error).toBe('States.ExceedToleratedFailureThreshold');
  });

  it('and stops the others', async () => {
    let stopped = 0;
    const tasks = (call: TaskCall) => {
      if (call.parameters === 3) throw new StatesError('Bad');
      call.signal.addEventListener('abort', () => stopped++);
      return never(call);
    };
    await trial(distributed(), items, { objects, tasks });
    expect(stopped).toBe(3);
  });

  it.each([
    ['no such key', { ...items, key: 'other.json' }, 'States.ItemReaderFailed'],
    ['not an array', { ...items, key: 'object.json' }, 'States.ItemReaderFailed'],
    ['a key that is no string', { ...items, key: 1 }, 'States.ItemReaderFailed'],
    ['no key', { bucket: 'lake' }, 'States.ParameterPathFailure'],
  ])('%s', async (_, input, error) => {
    const outcome = await trial(distributed(), input, { objects: { ...objects, 'lake/object.json': {} } });
    expect(outcome.error?.error).toBe(error);
  });

  it('is retried where its items could not be read, and not where a job has failed', async () => {
    const Retry = [{ ErrorEquals: ['States.ItemReaderFailed'], IntervalSeconds: 10, MaxAttempts: 3, BackoffRate: 5 }];
    let reads = 0;
    const late = {
      get 'lake/items.json'() {
        return (++reads < 3 ? undefined : [1, 2]) as Json;
      },
    };
    const { output, clock } = await trial(distributed({ Retry }), items, { objects: late });
    expect([output, reads, clock.sleeps]).toEqual([[1, 2], 3, [10, 50]]);
    const failed = await trial(distributed({ Retry }), items, { objects, tasks: failFor(2) });
    expect([failed.error?.error, failed.clock.sleeps]).toEqual(['States.ExceedToleratedFailureThreshold', []]);
  });

  it('an item may have 256 KiB, the array any size', async () => {
    const text = 'x'.repeat(200_000);
    const large = { 'lake/items.json': [text, text] };
    const machine = distributed({ ResultPath: null });
    expect((await trial(machine, items, { objects: large, tasks: () => 1 })).output).toEqual(items);
    // but the results count before ResultPath discards them
    expect((await trial(machine, items, { objects: large })).error?.error).toBe('States.DataLimitExceeded');
  });

  it('an item counts as its iteration gets it', async () => {
    const ItemSelector = { 'a.$': '$.text', 'b.$': '$.text' };
    const machine = inline({ ItemsPath: '$.list', ItemSelector }, telling({}));
    const outcome = await trial(machine, { text: 'x'.repeat(200_000), list: [1] }, { tasks: () => 1 });
    expect(outcome.error?.error).toBe('States.DataLimitExceeded');
  });

  it('begins no item after one has failed', async () => {
    let begun = 0;
    const tasks = ({ parameters }: TaskCall): Json => {
      begun++;
      if (parameters === 1) throw new StatesError('Bad');
      return parameters;
    };
    await trial(inline({ MaxConcurrency: 1 }), [0, 1, 2, 3], { tasks });
    expect(begun).toBe(2);
  });
});

const without = (machine: { States: { It: object } }, field: string) =>
  one(Object.fromEntries(Object.entries(machine.States.It).filter(([name]) => name !== field)));
const reader = (fields: object) =>
  distributed({
    ItemReader: {
      Resource: 'arn:aws:states:::s3:getObject',
      ReaderConfig: { InputType: 'JSON' },
      Parameters: { 'Bucket.$': '$.bucket', 'Key.$': '$.key' },
      ...fields,
    },
  });
const config = (ProcessorConfig: object) => distributed({ ItemProcessor: { ProcessorConfig, ...work } });

describe('what a Map may not have', () => {
  it.each([
    ['It.Parameters', inline({ Parameters: {} })],
    ['It.Iterator', inline({ Iterator: work })],
    ['It.ResultSelector', inline({ ResultSelector: {} })],
    ['It.ResultWriter', distributed({ ResultWriter: {} })],
    ['It.ItemBatcher', distributed({ ItemBatcher: {} })],
    ['It.MaxConcurrencyPath', distributed({ MaxConcurrencyPath: '$.n' })],
    ['It.ToleratedFailureCount', distributed({ ToleratedFailureCount: 1 })],
    ['It.ToleratedFailurePercentage', distributed({ ToleratedFailurePercentage: 1 })],
    ['It.MaxConcurrency', inline({ MaxConcurrency: 0 })],
    ['It.MaxConcurrency', without(inline(), 'MaxConcurrency')],
    ['It.ItemsPath: each INLINE map', without(inline(), 'ItemsPath')],
    ['It.ItemsPath: each INLINE map', distributed({ ItemsPath: '$.list' })],
    ['It.ItemReader: each DISTRIBUTED map', without(distributed(), 'ItemReader')],
    ['It.Label: each DISTRIBUTED map', inline({ Label: 'score' })],
    ['It.ItemReader.Resource', reader({ Resource: 'arn:aws:states:::s3:listObjectsV2' })],
    ['It.ItemReader.ReaderConfig.InputType', reader({ ReaderConfig: { InputType: 'CSV' } })],
    ['It.ItemReader.ReaderConfig.MaxItems', reader({ ReaderConfig: { InputType: 'JSON', MaxItems: 2 } })],
    ['It.ItemReader.Parameters.VersionId', reader({ Parameters: { VersionId: '1' } })],
    ['It.ItemProcessor.ProcessorConfig.Mode', config({})],
    ['It.ItemProcessor.ProcessorConfig.ExecutionType', config({ Mode: 'INLINE', ExecutionType: 'STANDARD' })],
    ['It.ItemProcessor.ProcessorConfig.ExecutionType', config({ Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' })],
  ])('%s', (message, machine) => {
    expect(() => check(machine)).toThrow(message);
  });
});
