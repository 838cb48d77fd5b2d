import { describe, expect, it } from 'vitest';
import { check, one, TASK, task } from './fake.ts';

const end = { Type: 'Succeed' };
const only = (fields: object) => one(task(fields));

describe('what is refused before anything runs', () => {
  it.each<[string, object, string]>([
    ['Pass', one({ Type: 'Pass', End: true }), 'It.Type: "Pass" is not supported'],
    ['Wait', one({ Type: 'Wait', Seconds: 1, End: true }), 'It.Type: "Wait" is not supported'],
    ['Parallel', one({ Type: 'Parallel', Branches: [one(end)], End: true }), 'It.Type: "Parallel" is not supported'],
    ['no type', one({}), 'It.Type: "undefined" is not supported'],
    ['field of another type', one({ ...end, Resource: TASK }), 'It.Resource: this field'],
    ['unknown field', only({ Assign: {} }), 'It.Assign: this field'],
    ['Output', only({ Output: '{% 1 %}' }), 'It.Output: this field'],
    ['InputPath', only({ InputPath: '$.a' }), 'It.InputPath: this field'],
    ['query language', only({ QueryLanguage: 'JSONata' }), 'It.QueryLanguage: this field'],
    ['field of the machine', { QueryLanguage: 'JSONata', ...only({}) }, 'the machine.QueryLanguage: this field'],
    ['resource', only({ Resource: 'arn:aws:states:::sqs:sendMessage' }), 'sqs:sendMessage is not supported'],
    ['HeartbeatSeconds', only({ HeartbeatSeconds: 5 }), 'It.HeartbeatSeconds: this field'],
    ['TimeoutSecondsPath', only({ TimeoutSecondsPath: '$.t' }), 'It.TimeoutSecondsPath: this field'],
    ['timeout', only({ TimeoutSeconds: 0 }), 'It.TimeoutSeconds: expected a whole number from 1'],
    ['Credentials', only({ Credentials: {} }), 'It.Credentials: this field'],
    ['no end', only({ End: undefined }), 'either Next or "End"'],
    ['two ends', { StartAt: 'It', States: { It: task({ Next: 'B' }), B: end } }, 'either Next or "End"'],
    ['dangling Next', only({ Next: 'Nowhere', End: undefined }), 'It.Next: there is no state "Nowhere"'],
    ['dangling StartAt', { StartAt: 'X', States: { It: end } }, 'StartAt: there is no state "X"'],
    [
      'dangling Default',
      one({ Type: 'Choice', Choices: [{ Variable: '$', BooleanEquals: true, Next: 'It' }], Default: 'No' }),
      '"No"',
    ],
    ['dangling Catch', only({ Catch: [{ ErrorEquals: ['A'], Next: 'No' }] }), '"No"'],
    ['unreachable', { StartAt: 'It', States: { It: end, B: end } }, 'no state leads to B'],
    [
      'the same name twice',
      one({ Type: 'Map', End: true, ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...one(end) } }),
      'It: another state of this machine has the same name',
    ],
    ['a long name', { StartAt: 'x'.repeat(81), States: { ['x'.repeat(81)]: end } }, 'more than 80'],
    ['index', only({ OutputPath: '$.a[0]' }), 'It.OutputPath: "$.a[0]" is not supported'],
    ['quoted name', only({ OutputPath: "$['a']" }), 'It.OutputPath'],
    ['deep scan', only({ OutputPath: '$..a' }), 'It.OutputPath'],
    ['no OutputPath', only({ OutputPath: null }), 'It.OutputPath'],
    ['filter', only({ Parameters: { 'x.$': '$.a[?(@.b)]' } }), 'It.Parameters.x.$'],
    ['variables', only({ Parameters: { 'x.$': '$name' } }), 'It.Parameters.x.$'],
    ['unknown context', only({ OutputPath: '$$.State.Name' }), '"$$.State.Name" is not supported; known are'],
    ['index in ResultPath', only({ ResultPath: '$.a[0]' }), 'It.ResultPath'],
    ['context in ResultPath', only({ ResultPath: '$$.Execution.Name' }), 'It.ResultPath'],
    ['template that is no path', only({ Parameters: { 'x.$': 3 } }), 'It.Parameters.x.$'],
    ['template field twice', only({ Parameters: { 'x.$': '$', x: 1 } }), 'there is also x'],
    [
      'intrinsic deep inside',
      only({ Parameters: { a: [{ 'b.$': 'States.MathRandom(1, 2)' }] } }),
      'It.Parameters.a[0].b.$: in "States.MathRandom(1, 2)": States.MathRandom is not supported',
    ],
    ['retrier field', only({ Retry: [{ ErrorEquals: ['A'], Interval: 3 }] }), 'It.Retry[0].Interval'],
    ['retrier interval', only({ Retry: [{ ErrorEquals: ['A'], IntervalSeconds: 0 }] }), 'IntervalSeconds'],
    ['retrier rate', only({ Retry: [{ ErrorEquals: ['A'], BackoffRate: 0.5 }] }), 'BackoffRate'],
    ['retrier jitter', only({ Retry: [{ ErrorEquals: ['A'], JitterStrategy: 'NONE' }] }), 'only FULL is supported'],
    ['no errors', only({ Retry: [{ ErrorEquals: [] }] }), 'It.Retry[0].ErrorEquals'],
    ['ALL in company', only({ Retry: [{ ErrorEquals: ['A', 'States.ALL'] }] }), 'stands alone'],
    ['ALL before others', only({ Retry: [{ ErrorEquals: ['States.ALL'] }, { ErrorEquals: ['A'] }] }), 'stands alone'],
    [
      'TaskFailed',
      only({ Catch: [{ ErrorEquals: ['States.TaskFailed'], Next: 'It' }] }),
      'It.Catch[0].ErrorEquals: States.TaskFailed is not supported',
    ],
    ['catcher field', only({ Catch: [{ ErrorEquals: ['A'], Next: 'It', Assign: {} }] }), 'It.Catch[0].Assign'],
    [
      'catcher without a result',
      only({ Catch: [{ ErrorEquals: ['A'], Next: 'It', ResultPath: null }] }),
      'It.Catch[0].ResultPath',
    ],
    ['Cause', one({ Type: 'Fail', Error: 'A', Cause: 'c' }), 'It.Cause: this field'],
    ['Fail with both', one({ Type: 'Fail', Error: 'A', ErrorPath: '$.e' }), 'expected either Error or ErrorPath'],
    ['Fail with neither', one({ Type: 'Fail' }), 'expected either Error or ErrorPath'],
    ['no rules', one({ Type: 'Choice', Choices: [] }), 'It.Choices'],
    ['not an object', { StartAt: 'It', States: { It: 3 } }, 'It: expected an object'],
  ])('%s', (_, machine, message) => {
    expect(() => check(machine)).toThrow(message);
    expect(() => check(machine)).toThrow('State machine: ');
  });
});
