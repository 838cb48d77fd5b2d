import { describe, expect, it } from 'vitest';
import type { Json } from '../../../local/asl/types.ts';
import { check, task, trial } from './fake.ts';

const choice = (rule: object, fields: object = { Default: 'No' }) => ({
  StartAt: 'C',
  States: {
    C: { Type: 'Choice', Choices: [{ ...rule, Next: 'Yes' }], ...fields },
    Yes: task({ Parameters: 'yes' }),
    No: task({ Parameters: 'no' }),
  },
});
const v = (operator: string, operand: unknown) => ({ Variable: '$.v', [operator]: operand });

describe('Choice', () => {
  it.each<[rule: object, input: Json, holds: boolean]>([
    [v('StringEquals', 'a'), { v: 'a' }, true],
    [v('StringEquals', 'a'), { v: 'A' }, false],
    [v('StringEquals', '1'), { v: 1 }, false],
    [v('BooleanEquals', true), { v: true }, true],
    [v('BooleanEquals', false), { v: false }, true],
    [v('BooleanEquals', false), { v: true }, false],
    [v('BooleanEquals', false), { v: null }, false],
  ])('%j of %j is %s', async (rule, input, holds) => {
    expect((await trial(choice(rule), input)).output).toBe(holds ? 'yes' : 'no');
  });

  it('takes the first rule that holds, and its input goes through', async () => {
    const machine = {
      StartAt: 'C',
      States: {
        C: {
          Type: 'Choice',
          Choices: [
            { Variable: '$.a', BooleanEquals: true, Next: 'A' },
            { Variable: '$.b', BooleanEquals: true, Next: 'B' },
          ],
          Default: 'B',
        },
        A: { Type: 'Succeed' },
        B: { Type: 'Fail', Error: 'wrong' },
      },
    };
    expect((await trial(machine, { a: true, b: true })).output).toEqual({ a: true, b: true });
  });

  it('fails without its variable', async () => {
    expect((await trial(choice(v('BooleanEquals', true)), {})).error?.error).toBe('States.Runtime');
  });

  it.each([
    [v('NumericEquals', 1), 'C.Choices[0].NumericEquals: this comparison is not supported'],
    [v('IsPresent', true), 'C.Choices[0].IsPresent: this comparison'],
    [v('BooleanEqualsPath', '$.w'), 'C.Choices[0].BooleanEqualsPath: this comparison'],
    [{ And: [v('StringEquals', 'a')] }, 'C.Choices[0].And: this comparison'],
    [{ Not: v('StringEquals', 'a') }, 'C.Choices[0].Not: this comparison'],
    [{ Condition: '{% true %}' }, 'C.Choices[0].Condition: this comparison'],
    [{ Variable: '$.v' }, 'C.Choices[0]: expected one comparison, found none'],
    [{ ...v('StringEquals', 'a'), BooleanEquals: true }, 'C.Choices[0]: expected one comparison'],
    [v('StringEquals', 1), 'C.Choices[0].StringEquals: expected a string'],
    [{ StringEquals: 'a' }, 'C.Choices[0].Variable: expected a path'],
    [{ Variable: '$..v', StringEquals: 'a' }, 'C.Choices[0].Variable: "$..v" is not supported'],
  ])('%j is refused', (rule, message) => {
    expect(() => check(choice(rule))).toThrow(message);
  });

  it('needs a Default', () => {
    expect(() => check(choice(v('StringEquals', 'a'), {}))).toThrow('C.Default');
  });
});
