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
    ["States.Format('{}', null)", {}, 'null'],
    ["States.Format('{}', true)", {}, 'true'],
    ["States.Format('{}/{}', $$.Execution.Name, -1.5)", {}, 'n/-1.5'],
    ["States.Format('\\{{}\\} \\'q\\' \\\\', 1)", {}, "{1} 'q' \\"],
    ['States.Format($.t, 1)', { t: 'n={}' }, 'n=1'],
    ['States.StringToJson($.s)', { s: '{"number":20}' }, { number: 20 }],
    ['States.JsonToString($.unescapedJson)', { unescapedJson: { foo: 'bar' } }, '{"foo":"bar"}'],
    [
      "States.Array('Foo', 2020, $.someJson, null)",
      { someJson: { random: 'abc' } },
      ['Foo', 2020, { random: 'abc' }, null],
    ],
    ['States.Array()', {}, []],
    ['States.ArrayPartition($.a, 4)', { a: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, [[1, 2, 3, 4], [5, 6, 7, 8], [9]]],
    ['States.ArrayContains($.a, $.x)', { a: [1, { k: [2] }], x: { k: [2] } }, true],
    ['States.ArrayRange(1, 9, 2)', {}, [1, 3, 5, 7, 9]],
    ['States.ArrayRange(3, 0, -1)', {}, [3, 2, 1, 0]],
    ['States.ArrayGetItem($.a, 1)', { a: [1, null, 3] }, null],
    ['States.ArrayLength($.a)', { a: [1, 2, 3] }, 3],
    ['States.ArrayUnique($.a)', { a: [1, 2, 3, 3, 3] }, [1, 2, 3]],
    ["States.Base64Encode('Data to encode')", {}, 'RGF0YSB0byBlbmNvZGU='],
    ["States.Base64Decode('RGVjb2RlZCBkYXRh')", {}, 'Decoded data'],
    ["States.Hash('input data', 'SHA-1')", {}, 'aaff4a450a104cd177d28d18d74485e8cae074b7'],
    ['States.JsonMerge($.a, $.b, false)', { a: { a: { x: 1 }, c: 1 }, b: { a: { y: 2 } } }, { a: { y: 2 }, c: 1 }],
    ['States.MathAdd($.v, -1)', { v: 111 }, 110],
    ["States.StringSplit('1,2,3', ',')", {}, ['1', '2', '3']],
    ["States.StringSplit('This.is+a,test=string', '.+,=')", {}, ['This', 'is', 'a', 'test', 'string']],
    [
      "States.ArrayGetItem(States.StringSplit(States.Format('{}-{}', $.a[0]['b c'], 2), '-'), 0)",
      { a: [{ 'b c': 7 }] },
      '7',
    ],
  ])('%s', (text, input, expected) => {
    expect(value(text, input)).toEqual(expected);
  });

  it.each([
    ["States.Format('{} {}', 1)", 'more {} than'],
    ["States.Format('{}', 1, 2)", 'fewer {}'],
    ["States.Format('{}', $.object)", 'must be strings, numbers'],
    ['States.StringToJson($.text)', 'not JSON'],
    ['States.ArrayGetItem($.list, 3)', 'no element 3'],
    ['States.ArrayLength($.text)', 'expected an array'],
    ['States.ArrayRange(0, 5000, 1)', 'at most 1,000'],
    ['States.MathAdd(2147483647, 1)', '32-bit'],
    ['States.JsonMerge($.object, $.object, true)', 'shallow'],
    ["States.Hash('x', 'CRC')", 'unknown algorithm'],
  ])('%s fails', (text, message) => {
    const input = { object: {}, text: 'x', list: [1] };
    expect(() => value(text, input)).toThrow(/States.IntrinsicFailure/);
    expect(() => value(text, input)).toThrow(message.replace('than', "in '"));
  });

  it.each([
    ['States.MathRandom(1, 10)', 'States.MathRandom is not supported'],
    ['States.Format(', 'cannot read'],
    ["States.Format('{}', 1) ", 'follows the closing'],
    ["States.Format('a\\n')", 'not an escape'],
    ['States.ArrayLength($.a, 2)', 'takes 1 argument'],
    ['States.ArrayLength(abc)', 'neither a path'],
    ['States.ArrayLength($.a[*])', 'reference paths only'],
    ['plain', 'expected ('],
  ])('%s is refused where it is parsed', (text, message) => {
    expect(() => parseExpression(text, 'here')).toThrow(message === 'expected (' ? /plain is not supported/ : message);
  });

  it('formats any string literal back to itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const literal = text.replace(/[\\'{}]/g, '\\$&');
        expect(value(`States.Format('${literal}')`)).toBe(text);
        expect(value(`States.Array('${literal}')`)).toEqual([text]);
      }),
    );
  });

  it('reads any path it is given back', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(fc.array(name, { maxLength: 4 }), fc.integer(), (names, leaf) => {
        const input = names.reduceRight<Json>((inner, key) => Object.fromEntries([[key, inner]]), leaf);
        const path = `$${names.map((key) => `['${key.replace(/[\\']/g, '\\$&')}']`).join('')}`;
        expect(value(path, input)).toEqual(leaf);
      }),
    );
  });
});
