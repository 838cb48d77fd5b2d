import { describe, expect, it } from 'vitest';
import type { Json } from '../../../local/asl/types.ts';
import { check, trial } from './fake.ts';

const choice = (rule: object, fields: object = { Default: 'No' }) => ({
  StartAt: 'C',
  States: {
    C: { Type: 'Choice', Choices: [{ ...rule, Next: 'Yes' }], ...fields },
    Yes: { Type: 'Pass', Result: 'yes', End: true },
    ...('Default' in fields && { No: { Type: 'Pass', Result: 'no', End: true } }),
  },
});
const v = (operator: string, operand: unknown) => ({ Variable: '$.v', [operator]: operand });

describe('Choice', () => {
  it.each<[rule: object, input: Json, holds: boolean]>([
    [v('StringEquals', 'a'), { v: 'a' }, true],
    [v('StringEquals', '1'), { v: 1 }, false],
    [v('StringLessThan', 'b'), { v: 'a' }, true],
    [v('StringLessThan', 'a'), { v: 'B' }, true],
    [v('StringGreaterThanEquals', 'a'), { v: 'a' }, true],
    [v('StringEqualsPath', '$.w'), { v: 'a', w: 'a' }, true],
    [v('StringMatches', 'log-*.txt'), { v: 'log-2.txt' }, true],
    [v('StringMatches', 'log-*.txt'), { v: 'log-2xtxt' }, false],
    [v('StringMatches', 'a\\*b'), { v: 'a*b' }, true],
    [v('StringMatches', 'a\\*b'), { v: 'axb' }, false],
    [v('StringMatches', '*'), { v: 'two\nlines' }, true],
    [v('NumericEquals', 1), { v: 1 }, true],
    [v('NumericEquals', 1), { v: '1' }, false],
    [v('NumericLessThan', 2), { v: 1 }, true],
    [v('NumericLessThan', 2), { v: 2 }, false],
    [v('NumericLessThanEquals', 2), { v: 2 }, true],
    [v('NumericGreaterThan', 2), { v: 2.5 }, true],
    [v('NumericGreaterThanEqualsPath', '$.w'), { v: 2, w: 3 }, false],
    [v('NumericLessThanPath', '$$.State.RetryCount'), { v: -1 }, true],
    [v('BooleanEquals', false), { v: false }, true],
    [v('BooleanEquals', false), { v: null }, false],
    [v('BooleanEqualsPath', '$.w'), { v: true, w: true }, true],
    [v('TimestampEquals', '2026-01-01T01:00:00+01:00'), { v: '2026-01-01T00:00:00Z' }, true],
    [v('TimestampLessThan', '2026-01-01T00:00:00Z'), { v: 'yesterday' }, false],
    [v('TimestampGreaterThanPath', '$.w'), { v: '2026-01-02T00:00:00Z', w: '2026-01-01T00:00:00Z' }, true],
    [v('IsNull', true), { v: null }, true],
    [v('IsNull', false), { v: 1 }, true],
    [v('IsPresent', true), {}, false],
    [v('IsPresent', false), {}, true],
    [v('IsPresent', true), { v: null }, true],
    [v('IsString', true), { v: 'a' }, true],
    [v('IsNumeric', true), { v: 'a' }, false],
    [v('IsBoolean', true), { v: true }, true],
    [v('IsTimestamp', true), { v: '2026-01-01T00:00:00Z' }, true],
    [v('IsTimestamp', true), { v: '2026-01-01' }, false],
    [{ Not: v('NumericEquals', 1) }, { v: 2 }, true],
    [{ And: [v('IsPresent', true), v('NumericGreaterThan', 1)] }, {}, false],
    [{ And: [v('IsPresent', true), v('NumericGreaterThan', 1)] }, { v: 2 }, true],
    [
      { Or: [v('NumericEquals', 1), { And: [v('NumericGreaterThan', 5), { Not: v('NumericEquals', 7) }] }] },
      { v: 6 },
      true,
    ],
  ])('%j of %j is %s', async (rule, input, holds) => {
    expect((await trial(choice(rule), input)).output).toBe(holds ? 'yes' : 'no');
  });

  it('takes the first rule that holds, and its input goes through', async () => {
    const machine = {
      StartAt: 'C',
      States: {
        C: {
          Type: 'Choice',
          InputPath: '$.in',
          Choices: [
            { ...v('NumericGreaterThan', 0), Next: 'A' },
            { ...v('NumericGreaterThan', 1), Next: 'B' },
          ],
        },
        A: { Type: 'Succeed' },
        B: { Type: 'Fail', Error: 'wrong' },
      },
    };
    expect((await trial(machine, { in: { v: 2 } })).output).toEqual({ v: 2 });
  });

  it('fails without a match or a variable', async () => {
    expect((await trial(choice(v('NumericEquals', 1), {}), { v: 2 })).error?.error).toBe('States.NoChoiceMatched');
    expect((await trial(choice(v('NumericEquals', 1)), {})).error?.error).toBe('States.Runtime');
    expect((await trial(choice(v('NumericEqualsPath', '$.w')), { v: 1 })).error?.error).toBe('States.Runtime');
  });

  it.each([
    [{ Variable: '$.v' }, 'expected one comparison'],
    [{ ...v('IsNull', true), IsPresent: true }, 'expected one comparison'],
    [v('NumericEquals', '1'), 'of another type'],
    [v('StringMatchesPath', '$.w'), 'StringMatchesPath is not supported'],
    [v('Contains', 'x'), 'Contains is not supported'],
    [v('IsNull', 'yes'), 'true or false'],
    [{ And: [] }, 'non-empty'],
    [{ And: [{ ...v('IsNull', true), Next: 'Yes' }] }, 'Next belongs'],
    [{ NumericEquals: 1 }, 'expected Variable'],
    [{ Condition: '{% true %}' }, 'expected Variable'],
    [v('NumericEquals', 1) && { Variable: '$..v', NumericEquals: 1 }, 'reference paths only'],
  ])('%j is refused', (rule, message) => {
    expect(() => check(choice(rule))).toThrow(message);
    expect(() => check(choice(rule))).toThrow('C.Choices[0]');
  });
});
