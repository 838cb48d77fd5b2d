import { describe, expect, it } from 'vitest';
import type { Json } from '../../../local/asl/types.ts';
import { one, TASK, trial } from './fake.ts';

const pass = (fields: object) => one({ Type: 'Pass', End: true, ...fields });
const task = (fields: object) => one({ Type: 'Task', Resource: TASK, End: true, ...fields });

/** Expected outputs follow the specification's sections "Input and Output Processing" and "Payload Template". */
const cases: [what: string, machine: object, input: Json, output: Json][] = [
  ['Pass hands its input on', pass({}), { a: 1 }, { a: 1 }],
  ['Result replaces', pass({ Result: { b: 2 } }), { a: 1 }, { b: 2 }],
  ['Result false is a result', pass({ Result: false }), { a: 1 }, false],
  [
    "the specification's Pass",
    pass({ Result: { 'x-datum': 0, 'y-datum': 600 }, ResultPath: '$.coords' }),
    { georefOf: 'Home' },
    { georefOf: 'Home', coords: { 'x-datum': 0, 'y-datum': 600 } },
  ],
  ['ResultPath makes objects', pass({ Result: 1, ResultPath: '$.a.b.c' }), {}, { a: { b: { c: 1 } } }],
  ['ResultPath into an array', pass({ Result: 9, ResultPath: '$.a[1]' }), { a: [1, 2] }, { a: [1, 9] }],
  ['ResultPath null discards', task({ ResultPath: null }), { a: 1 }, { a: 1 }],
  ['ResultPath is applied to the raw input', pass({ InputPath: '$.a', ResultPath: '$.b' }), { a: 1 }, { a: 1, b: 1 }],
  ['InputPath', pass({ InputPath: "$['a b'].c[0]" }), { 'a b': { c: [7] } }, 7],
  ['InputPath null', pass({ InputPath: null }), { a: 1 }, {}],
  ['InputPath of the context', pass({ InputPath: '$$.Execution.Name' }), {}, 'run-1'],
  ['OutputPath', pass({ OutputPath: '$.a' }), { a: [1] }, [1]],
  ['OutputPath null', pass({ OutputPath: null }), { a: 1 }, {}],
  ['null is a value', pass({ InputPath: '$.a' }), { a: null }, null],
  [
    "the specification's Parameters",
    task({ Parameters: { flagged: true, parts: { 'first.$': '$.vals[0]', 'last3.$': '$.vals' } } }),
    { flagged: 7, vals: [0, 10, 20] },
    { flagged: true, parts: { first: 0, last3: [0, 10, 20] } },
  ],
  [
    'templates inside arrays',
    task({ Parameters: { list: [{ 'x.$': '$.a' }, 'a'] } }),
    { a: 1 },
    { list: [{ x: 1 }, 'a'] },
  ],
  [
    'ResultSelector sees the result, ResultPath the raw input',
    task({ Parameters: { n: 1 }, ResultSelector: { 'm.$': '$.n' }, ResultPath: '$.r' }),
    { a: 1 },
    { a: 1, r: { m: 1 } },
  ],
  [
    'context object',
    pass({
      Parameters: {
        'id.$': '$$.Execution.Id',
        'input.$': '$$.Execution.Input',
        'start.$': '$$.Execution.StartTime',
        'state.$': '$$.State.Name',
        'entered.$': '$$.State.EnteredTime',
        'machine.$': '$$.StateMachine.Name',
      },
    }),
    { a: 1 },
    {
      id: 'arn:aws:states:local:000000000000:execution:machine:run-1',
      input: { a: 1 },
      start: '2026-01-01T00:00:00.000Z',
      state: 'It',
      entered: '2026-01-01T00:00:00.000Z',
      machine: 'machine',
    },
  ],
];

describe('input and output', () => {
  it.each(cases)('%s', async (_, machine, input, output) => {
    const before = structuredClone(input);
    expect((await trial(machine, input)).output).toEqual(output);
    expect(input).toEqual(before);
  });

  it.each([
    ['InputPath', pass({ InputPath: '$.b' }), 'States.Runtime'],
    ['OutputPath', pass({ OutputPath: '$.b' }), 'States.Runtime'],
    ['Parameters', task({ Parameters: { 'x.$': '$.b' } }), 'States.ParameterPathFailure'],
    ['ResultSelector', task({ ResultSelector: { 'x.$': '$.b' } }), 'States.ParameterPathFailure'],
    ['ResultPath', pass({ ResultPath: '$.a.c' }), 'States.ResultPathMatchFailure'],
    ['ResultPath beyond an array', pass({ ResultPath: '$.list[1]' }), 'States.ResultPathMatchFailure'],
    ['intrinsic', pass({ Parameters: { 'x.$': "States.Format('{}')" } }), 'States.IntrinsicFailure'],
  ])('a wrong %s fails by its name', async (_, machine, name) => {
    expect((await trial(machine, { a: 1, list: [0] })).error?.error).toBe(name);
  });

  it('enforces 256 KiB of UTF-8', async () => {
    const size = (letters: number, letter: string) => trial(pass({}), letter.repeat(letters));
    expect((await size(262_142, 'x')).output).toHaveLength(262_142);
    expect((await size(262_143, 'x')).error?.error).toBe('States.DataLimitExceeded');
    expect((await size(131_072, 'é')).error?.error).toBe('States.DataLimitExceeded');
    const large = task({ Catch: [{ ErrorEquals: ['States.ALL'], Next: 'It' }] });
    const outcome = await trial(large, {}, { tasks: () => 'x'.repeat(300_000) });
    expect(outcome.error?.error).toBe('States.DataLimitExceeded');
  });
});
