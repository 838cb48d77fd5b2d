import { describe, expect, it } from 'vitest';
import { check, one, TASK } from './fake.ts';

const end = { Type: 'Succeed' };
const pass = (fields: object) => one({ Type: 'Pass', End: true, ...fields });
const task = (fields: object) => one({ Type: 'Task', Resource: TASK, End: true, ...fields });

describe('what is refused before anything runs', () => {
  it.each<[string, object, string]>([
    ['state type', one({ Type: 'Activity' }), 'It.Type: "Activity"'],
    ['field of another type', pass({ Resource: TASK }), 'It.Resource'],
    ['unknown field', pass({ Assign: {} }), 'It.Assign'],
    ['Output', pass({ Output: '{% 1 %}' }), 'It.Output'],
    ['query language', pass({ QueryLanguage: 'JSONata' }), 'It.QueryLanguage'],
    ['query language of the machine', { QueryLanguage: 'JSONata', ...pass({}) }, 'only JSONPath'],
    ['version', { Version: '2.0', ...pass({}) }, 'Version'],
    ['field of the machine', { ProcessorConfig: {}, ...pass({}) }, 'the machine.ProcessorConfig'],
    ['resource', task({ Resource: 'arn:aws:states:::sqs:sendMessage' }), 'sqs:sendMessage is not supported'],
    ['HeartbeatSeconds', task({ HeartbeatSeconds: 5 }), 'It.HeartbeatSeconds'],
    ['TimeoutSecondsPath', task({ TimeoutSecondsPath: '$.t' }), 'It.TimeoutSecondsPath'],
    ['Credentials', task({ Credentials: {} }), 'It.Credentials'],
    ['Timestamp', one({ Type: 'Wait', Timestamp: '2026-01-01T00:00:00Z', End: true }), 'It.Timestamp'],
    ['Wait for nothing', one({ Type: 'Wait', End: true }), 'expected one of Seconds, SecondsPath'],
    ['no end', one({ Type: 'Pass' }), 'either Next or "End"'],
    [
      'two ends',
      { StartAt: 'It', States: { It: { Type: 'Pass', Next: 'B', End: true }, B: end } },
      'either Next or "End"',
    ],
    ['dangling Next', one({ Type: 'Pass', Next: 'Nowhere' }), 'It.Next: there is no state "Nowhere"'],
    ['dangling StartAt', { StartAt: 'X', States: { It: end } }, 'StartAt: there is no state "X"'],
    [
      'dangling Default',
      one({ Type: 'Choice', Choices: [{ Variable: '$', IsNull: true, Next: 'It' }], Default: 'No' }),
      '"No"',
    ],
    ['dangling Catch', task({ Catch: [{ ErrorEquals: ['A'], Next: 'No' }] }), '"No"'],
    ['unreachable', { StartAt: 'It', States: { It: end, B: end } }, 'no state leads to B'],
    [
      'the same name twice',
      one({ Type: 'Parallel', End: true, Branches: [one(end)] }),
      'It: the name of another state',
    ],
    ['a long name', { StartAt: 'x'.repeat(81), States: { ['x'.repeat(81)]: end } }, 'more than 80'],
    ['wildcard path', pass({ InputPath: '$.a[*]' }), 'It.InputPath'],
    ['deep scan', pass({ OutputPath: '$..a' }), 'It.OutputPath'],
    ['filter', pass({ Parameters: { 'x.$': '$.a[?(@.b)]' } }), 'It.Parameters.x.$'],
    ['negative index', pass({ InputPath: '$.a[-1]' }), 'It.InputPath'],
    ['variables', pass({ Parameters: { 'x.$': '$name' } }), 'It.Parameters.x.$'],
    ['unknown context', pass({ InputPath: '$$.Task.Token' }), '$$.Task.Token'],
    ['context in ResultPath', pass({ ResultPath: '$$.Execution.Name' }), 'It.ResultPath'],
    ['template that is no path', pass({ Parameters: { 'x.$': 3 } }), 'It.Parameters.x.$'],
    ['template field twice', pass({ Parameters: { 'x.$': '$', x: 1 } }), 'x is there as well'],
    [
      'intrinsic deep inside',
      pass({ Parameters: { a: [{ 'b.$': 'States.MathRandom(1, 2)' }] } }),
      'It.Parameters.a[0].b.$',
    ],
    ['retrier field', task({ Retry: [{ ErrorEquals: ['A'], Interval: 3 }] }), 'It.Retry[0].Interval'],
    ['retrier interval', task({ Retry: [{ ErrorEquals: ['A'], IntervalSeconds: 0 }] }), 'IntervalSeconds'],
    ['retrier rate', task({ Retry: [{ ErrorEquals: ['A'], BackoffRate: 0.5 }] }), 'BackoffRate'],
    ['retrier jitter', task({ Retry: [{ ErrorEquals: ['A'], JitterStrategy: 'HALF' }] }), 'JitterStrategy'],
    ['no errors', task({ Retry: [{ ErrorEquals: [] }] }), 'It.Retry[0].ErrorEquals'],
    ['ALL in company', task({ Retry: [{ ErrorEquals: ['A', 'States.ALL'] }] }), 'stands alone'],
    ['ALL before others', task({ Retry: [{ ErrorEquals: ['States.ALL'] }, { ErrorEquals: ['A'] }] }), 'stands alone'],
    ['catcher field', task({ Catch: [{ ErrorEquals: ['A'], Next: 'It', Assign: {} }] }), 'It.Catch[0].Assign'],
    ['Catch of a Pass', pass({ Catch: [] }), 'It.Catch'],
    ['Fail with both', one({ Type: 'Fail', Error: 'A', ErrorPath: '$.e' }), 'expected one of Error, ErrorPath'],
    ['no rules', one({ Type: 'Choice', Choices: [] }), 'It.Choices'],
    ['not an object', { StartAt: 'It', States: { It: 3 } }, 'It: expected an object'],
  ])('%s', (_, machine, message) => {
    expect(() => check(machine)).toThrow(message);
    expect(() => check(machine)).toThrow(/^State machine: |It\./);
  });
});
