import { describe, expect, it } from 'vitest';
import type { Json } from '../../../local/asl/types.ts';
import { one, task, trial } from './fake.ts';

const only = (fields: object) => one(task(fields));

/** Expected outputs follow the specification's sections "Input and Output Processing" and "Payload Template". */
const cases: [what: string, machine: object, input: Json, output: Json][] = [
  [
    "the specification's ResultPath",
    only({ Parameters: { 'x-datum': 0, 'y-datum': 600 }, ResultPath: '$.coords' }),
    { georefOf: 'Home' },
    { georefOf: 'Home', coords: { 'x-datum': 0, 'y-datum': 600 } },
  ],
  ['ResultPath makes objects', only({ Parameters: 1, ResultPath: '$.a.b.c' }), {}, { a: { b: { c: 1 } } }],
  ['ResultPath null discards', only({ Parameters: 1, ResultPath: null }), { a: 1 }, { a: 1 }],
  ['OutputPath', only({ OutputPath: '$.a' }), { a: [1] }, [1]],
  ['OutputPath of the context', only({ OutputPath: '$$.Execution.Name' }), {}, 'run-1'],
  ['null is a value', only({ OutputPath: '$.a' }), { a: null }, null],
  [
    'Parameters',
    only({ Parameters: { flagged: true, parts: { 'first.$': '$.vals.first', 'all.$': '$.vals' } } }),
    { flagged: 7, vals: { first: 0 } },
    { flagged: true, parts: { first: 0, all: { first: 0 } } },
  ],
  [
    'templates inside arrays',
    only({ Parameters: { list: [{ 'x.$': '$.a' }, 'a'] } }),
    { a: 1 },
    { list: [{ x: 1 }, 'a'] },
  ],
  [
    'ResultSelector sees the result, ResultPath the raw input, OutputPath both',
    only({
      Parameters: { n: 1 },
      ResultSelector: { 'm.$': '$.n' },
      ResultPath: '$.r.s',
      OutputPath: '$.r',
    }),
    { r: { a: 1 } },
    { a: 1, s: { m: 1 } },
  ],
  [
    'context object',
    only({ Parameters: { 'id.$': '$$.Execution.Id', 'name.$': '$$.Execution.Name' } }),
    {},
    { id: 'arn:aws:states:local:000000000000:execution:machine:run-1', name: 'run-1' },
  ],
];

describe('input and output', () => {
  it.each(cases)('%s', async (_, machine, input, output) => {
    const before = structuredClone(input);
    expect((await trial(machine, input)).output).toEqual(output);
    expect(input).toEqual(before);
  });

  it.each([
    ['OutputPath', only({ OutputPath: '$.b' }), 'States.Runtime'],
    ['Parameters', only({ Parameters: { 'x.$': '$.b' } }), 'States.ParameterPathFailure'],
    ['ResultSelector', only({ ResultSelector: { 'x.$': '$.b' } }), 'States.ParameterPathFailure'],
    ['ResultPath', only({ ResultPath: '$.a.c' }), 'States.ResultPathMatchFailure'],
    ['ResultPath in an array', only({ ResultPath: '$.list.c' }), 'States.ResultPathMatchFailure'],
    ['intrinsic', only({ Parameters: { 'x.$': "States.Format('{}', $.list)" } }), 'States.IntrinsicFailure'],
  ])('a wrong %s fails by its name', async (_, machine, name) => {
    expect((await trial(machine, { a: 1, list: [0] })).error?.error).toBe(name);
  });

  it('enforces 256 KiB of UTF-8', async () => {
    const size = (letters: number, letter: string) => trial(only({}), letter.repeat(letters));
    expect((await size(262_142, 'x')).output).toHaveLength(262_142);
    expect((await size(262_143, 'x')).error?.error).toBe('States.DataLimitExceeded');
    expect((await size(131_072, 'é')).error?.error).toBe('States.DataLimitExceeded');
    const large = only({ Catch: [{ ErrorEquals: ['States.ALL'], Next: 'It' }] });
    const outcome = await trial(large, {}, { tasks: () => 'x'.repeat(300_000) });
    expect(outcome.error?.error).toBe('States.DataLimitExceeded');
  });

  it('enforces it of what a task is given and of what a state hands on, each by itself', async () => {
    const input = { text: 'x'.repeat(200_000) };
    const tasks = () => 1;
    const twice = { Parameters: { 'a.$': '$.text', 'b.$': '$.text' } };
    expect((await trial(only(twice), input, { tasks })).error?.error).toBe('States.DataLimitExceeded');
    const beside = only({ Parameters: {}, ResultPath: '$.result' });
    const outcome = await trial(beside, input, { tasks: () => 'x'.repeat(100_000) });
    expect(outcome.error?.error).toBe('States.DataLimitExceeded');
  });
});
