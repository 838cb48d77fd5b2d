import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, parseExpression } from '../../../local/asl/intrinsics.ts';
import type { Json } from '../../../local/asl/types.ts';

const value = (text: string, input: Json = {}) =>
  evaluate(parseExpression(text, 'here'), { input, context: { Execution: { Name: 'n' } } }, 'here');

describe('intrinsic functions', () => {
  // from the specification's Appendix B and the service's developer guide
  it.each<[string, Json, Json]>([
    [
      "States.Format('Your name is {}, we are in the year {}', $.name, 2020)",
      { name: 'Foo' },
      'Your name is Foo, we are in the year 2020',
    ],
    ["States.Format('none')", {}, 'none'],
    ["States.Format('{} {}', $.none, $.yes)", { none: null, yes: true }, 'null true'],
    ["States.Format('{}/{}', $$.Execution.Name, $.x)", { x: -1.5 }, 'n/-1.5'],
    ["States.Format('{}', $.x)", { x: '{} $&' }, '{} $&'],
    ['States.JsonToString($.unescapedJson)', { unescapedJson: { foo: 'bar' } }, '{"foo":"bar"}'],
    ['States.ArrayGetItem($.a, 1)', { a: [1, 2, 3] }, 2],
    ["States.StringSplit('1,2,3', ',')", {}, ['1', '2', '3']],
    ["States.ArrayGetItem(States.StringSplit(States.Format('{}-{}', $.a.b, 2), '-'), 0)", { a: { b: 7 } }, '7'],
  ])('%s', (text, input, expected) => {
    expect(value(text, input)).toEqual(expected);
  });

  it('makes a new UUID each time', () => {
    const [one, other] = [value('States.UUID()'), value('States.UUID()')];
    expect(one).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(other).not.toBe(one);
  });

  it.each([
    ["States.Format('{}', $.object)", 'must be strings, numbers'],
    ['States.ArrayGetItem($.list, 3)', 'no element 3 in an array of 1'],
    ['States.ArrayGetItem($.text, 0)', 'expected an array, found "x"'],
    ["States.StringSplit($.object, ',')", 'expected a string, found {}'],
    ["States.StringSplit($.text, '.+')", 'only one separator'],
  ])('%s fails', (text, message) => {
    const input = { object: {}, text: 'x', list: [1] };
    expect(() => value(text, input)).toThrow(/States.IntrinsicFailure/);
    expect(() => value(text, input)).toThrow(message);
  });

  it.each([
    ['States.ArrayLength($.a)', 'States.ArrayLength is not supported'],
    ["States.Format('{}', States.MathAdd(1, 2))", 'States.MathAdd is not supported'],
    ['plain', 'plain is not supported'],
    ['constructor()', 'constructor is not supported'],
    ['States.Format(', 'expected an argument'],
    ["States.Format('{}' $.a)", 'expected , or )'],
    ["States.Format('{}', 1) ", 'follows the closing'],
    ["States.Format('a\\{')", "expected a 'string' without escapes"],
    ['States.Format($.t, 1)', "only a 'string' is supported as the template"],
    ["States.Format('{} {}', 1)", 'States.Format takes 3 arguments here, not 2'],
    ["States.Format('{}', 1, 2)", 'States.Format takes 2 arguments here, not 3'],
    ["States.Format('{x}', 1)", 'a lone brace'],
    ['States.ArrayGetItem($.a)', 'States.ArrayGetItem takes 2 arguments here, not 1'],
    ['States.ArrayGetItem($.a, -1)', '"-1" is neither a path'],
    ['States.JsonToString(null)', '"null" is neither a path'],
    ['States.JsonToString($.a[0])', '"$.a[0]" is not supported; use reference paths'],
  ])('%s is refused where it is parsed', (text, message) => {
    expect(() => parseExpression(text, 'here')).toThrow(message);
    expect(() => parseExpression(text, 'here')).toThrow('State machine: here: ');
  });

  it('formats any string literal back to itself', () => {
    const plain = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\\'{}]/g, ''));
    fc.assert(
      fc.property(plain, (text) => {
        expect(value(`States.Format('${text}')`)).toBe(text);
      }),
    );
  });

  it('reads any path it is given back', () => {
    const name = fc.stringMatching(/^[A-Za-z_]\w*$/);
    fc.assert(
      fc.property(fc.array(name, { maxLength: 4 }), fc.integer(), (names, leaf) => {
        const input = names.reduceRight<Json>((inner, key) => Object.fromEntries([[key, inner]]), leaf);
        expect(value(['$', ...names].join('.'), input)).toEqual(leaf);
      }),
    );
  });
});
