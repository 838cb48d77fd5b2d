/** Intrinsic functions: `States.Format('{}', $.x)`; https://states-language.net/spec.html#appendix-b. */
import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { isObject, type Path, parsePath, get as pathValue, type Scope } from './paths.ts';
import { type Json, StatesError, UnsupportedDefinition } from './types.ts';

export type Expression =
  | { kind: 'path'; path: Path }
  /** `raw` keeps the escapes of braces, which mean something to States.Format. */
  | { kind: 'literal'; value: Json; raw?: string }
  | { kind: 'call'; name: string; arguments: Expression[] };

/** Parses what the value of a field ending in `.$` may be: a path or an intrinsic. */
export function parseExpression(text: string, where: string): Expression {
  return text.startsWith('$')
    ? { kind: 'path', path: parsePath(text, where) }
    : new Parser(text, where).wholeExpression();
}

/** @throws StatesError: `missing` for a path that leads nowhere, States.IntrinsicFailure for unfit arguments. */
export function evaluate(expression: Expression, scope: Scope, where: string, missing?: string): Json {
  switch (expression.kind) {
    case 'path':
      return pathValue(expression.path, scope, where, missing);
    case 'literal':
      return expression.value;
    case 'call': {
      const { name } = expression;
      const values = expression.arguments.map((argument) => evaluate(argument, scope, where, missing));
      const first = expression.arguments[0];
      if (name === 'States.Format' && first?.kind === 'literal' && first.raw !== undefined) values[0] = first.raw;
      return FUNCTIONS[name]!(values, (message) => {
        throw new StatesError('States.IntrinsicFailure', `${where}: ${name}: ${message}`);
      });
    }
  }
}

type Fail = (message: string) => never;

/** All but States.MathRandom, whose draws no run could repeat. */
const FUNCTIONS: Record<string, (values: Json[], fail: Fail) => Json> = {
  'States.Format': ([template, ...values], fail) => format(string(template, fail), values, fail),
  'States.StringToJson': ([text], fail) => {
    try {
      return JSON.parse(string(text, fail));
    } catch {
      return fail(`not JSON: ${text}`);
    }
  },
  'States.JsonToString': ([value]) => JSON.stringify(value),
  'States.Array': (values) => values,
  'States.ArrayPartition': ([list, size], fail) => {
    const items = array(list, fail);
    const step = integer(size, fail);
    if (step < 1) fail('the chunk size must be positive');
    return Array.from({ length: Math.ceil(items.length / step) }, (_, i) => items.slice(i * step, (i + 1) * step));
  },
  'States.ArrayContains': ([list, value], fail) => array(list, fail).some((item) => isDeepStrictEqual(item, value)),
  'States.ArrayRange': ([first, last, step], fail) => {
    const [from, to, by] = [integer(first, fail), integer(last, fail), integer(step, fail)];
    if (by === 0) fail('the step must not be 0');
    const length = Math.max(0, Math.floor((to - from) / by) + 1);
    if (length > 1000) fail('a range has at most 1,000 elements');
    return Array.from({ length }, (_, i) => from + i * by);
  },
  'States.ArrayGetItem': ([list, index], fail) =>
    array(list, fail)[integer(index, fail)] ?? missingItem(list!, index!, fail),
  'States.ArrayLength': ([list], fail) => array(list, fail).length,
  'States.ArrayUnique': ([list], fail) =>
    array(list, fail).filter((item, i, all) => all.findIndex((other) => isDeepStrictEqual(other, item)) === i),
  'States.Base64Encode': ([text], fail) => Buffer.from(short(text, fail)).toString('base64'),
  'States.Base64Decode': ([text], fail) => Buffer.from(short(text, fail), 'base64').toString(),
  'States.Hash': ([data, algorithm], fail) => {
    const name = { MD5: 'md5', 'SHA-1': 'sha1', 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' }[
      string(algorithm, fail)
    ];
    if (!name) fail(`unknown algorithm ${algorithm}`);
    return createHash(name!).update(short(data, fail)).digest('hex');
  },
  'States.JsonMerge': ([first, second, deep], fail) => {
    if (!isObject(first) || !isObject(second)) return fail('expected two objects');
    if (deep !== false) fail('only the shallow merge exists: the third argument must be false');
    return { ...first, ...second };
  },
  'States.MathAdd': ([a, b], fail) => {
    // 32-bit integers; others are rounded, and a sum outside is refused, as the service does.
    const sum = Math.round(number(a, fail)) + Math.round(number(b, fail));
    return sum === (sum | 0) ? sum : fail(`${sum} is outside of 32-bit integers`);
  },
  /** Not repeatable either, but a training job's name must be new at every attempt. */
  'States.UUID': () => randomUUID(),
  'States.StringSplit': ([text, separators], fail) => {
    const marks = new Set(string(separators, fail));
    const parts = [''];
    for (const letter of string(text, fail)) {
      if (marks.has(letter)) parts.push('');
      else parts[parts.length - 1] += letter;
    }
    return parts;
  },
};

const ARGUMENTS: Record<string, [least: number, most: number]> = {
  'States.Format': [1, Number.POSITIVE_INFINITY],
  'States.StringToJson': [1, 1],
  'States.JsonToString': [1, 1],
  'States.Array': [0, Number.POSITIVE_INFINITY],
  'States.ArrayPartition': [2, 2],
  'States.ArrayContains': [2, 2],
  'States.ArrayRange': [3, 3],
  'States.ArrayGetItem': [2, 2],
  'States.ArrayLength': [1, 1],
  'States.ArrayUnique': [1, 1],
  'States.Base64Encode': [1, 1],
  'States.Base64Decode': [1, 1],
  'States.Hash': [2, 2],
  'States.JsonMerge': [3, 3],
  'States.MathAdd': [2, 2],
  'States.UUID': [0, 0],
  'States.StringSplit': [2, 2],
};

function format(template: string, values: Json[], fail: Fail): string {
  const rest = [...values];
  const text = template.replace(/\\(.)|\{\}|[{}\\]/gsu, (found, escaped?: string) => {
    if (escaped !== undefined) return unescapeOne(escaped) ?? fail(`\\${escaped} is not an escape`);
    if (found !== '{}') return fail(`a lone ${found} in '${template}'; write \\${found}`);
    const value = rest.shift();
    if (value === undefined) return fail(`more {} in '${template}' than values`);
    if (typeof value === 'object' && value !== null) return fail('values must be strings, numbers, booleans or null');
    return String(value);
  });
  if (rest.length > 0) fail(`fewer {} in '${template}' than values`);
  return text;
}

const string = (value: Json | undefined, fail: Fail): string =>
  typeof value === 'string' ? value : fail(`expected a string, found ${JSON.stringify(value)}`);
const number = (value: Json | undefined, fail: Fail): number =>
  typeof value === 'number' ? value : fail(`expected a number, found ${JSON.stringify(value)}`);
const integer = (value: Json | undefined, fail: Fail): number => Math.round(number(value, fail));
const array = (value: Json | undefined, fail: Fail): Json[] =>
  Array.isArray(value) ? value : fail(`expected an array, found ${JSON.stringify(value)}`);
const short = (value: Json | undefined, fail: Fail): string =>
  string(value, fail).length <= 10_000 ? (value as string) : fail('at most 10,000 characters');

function missingItem(list: Json, index: Json, fail: Fail): Json {
  // `??` also catches an element that is null
  if ((list as Json[])[Math.round(index as number)] === null) return null;
  return fail(`no element ${index} in an array of ${(list as Json[]).length}`);
}

const unescapeOne = (letter: string): string | undefined => ("'{}\\".includes(letter) ? letter : undefined);

class Parser {
  private at = 0;
  private readonly text: string;
  private readonly where: string;

  constructor(text: string, where: string) {
    this.text = text;
    this.where = where;
  }

  wholeExpression(): Expression {
    const call = this.call();
    if (this.at < this.text.length) this.refuse(`"${this.text.slice(this.at)}" follows the closing parenthesis`);
    return call;
  }

  private argument(): Expression {
    const next = this.text[this.at];
    if (next === "'") return this.string();
    if (next === '$')
      return { kind: 'path', path: parsePath(this.take(/[^,()\s[]+(?:\[[^\]]*\][^,()\s[]*)*/y), this.where) };
    if (this.text.startsWith('States.', this.at)) return this.call();
    const word = this.take(/[^,()\s]+/y);
    if (/^(true|false|null|-?\d+(\.\d+)?([eE][+-]?\d+)?)$/.test(word))
      return { kind: 'literal', value: JSON.parse(word) };
    return this.refuse(`"${word}" is neither a path, a 'string', a number nor an intrinsic`);
  }

  private call(): Expression {
    const name = this.take(/[\w.]+/y);
    const limits = ARGUMENTS[name] ?? this.refuse(`${name} is not supported`);
    this.expect('(');
    const values: Expression[] = [];
    this.space();
    while (this.text[this.at] !== ')') {
      if (values.length > 0) this.expect(',');
      this.space();
      values.push(this.argument());
      this.space();
    }
    this.at++;
    if (values.length < limits[0] || values.length > limits[1])
      this.refuse(`${name} takes ${limits[0]} argument${limits[0] === 1 ? '' : 's'}, not ${values.length}`);
    return { kind: 'call', name, arguments: values };
  }

  private string(): Expression {
    const raw = this.take(/'((?:[^'\\]|\\.)*)'/sy).slice(1, -1);
    const value = raw.replace(
      /\\(.)/gsu,
      (_, letter: string) => unescapeOne(letter) ?? this.refuse(`\\${letter} is not an escape`),
    );
    return { kind: 'literal', value, raw };
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (!found) return this.refuse(`cannot read "${this.text.slice(this.at)}"`);
    this.at += found.length;
    return found;
  }

  private space(): void {
    while (this.text[this.at] === ' ') this.at++;
  }

  private expect(letter: string): void {
    if (this.text[this.at] !== letter) this.refuse(`expected ${letter} at "${this.text.slice(this.at)}"`);
    this.at++;
  }

  private refuse(message: string): never {
    throw new UnsupportedDefinition(`${this.where}: in "${this.text}": ${message}.`);
  }
}
