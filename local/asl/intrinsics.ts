/** Intrinsic functions: `States.Format('{}', $.x)`; https://states-language.net/spec.html#appendix-b. */
import { randomUUID } from 'node:crypto';
import { type Path, parsePath, get as pathValue, type Scope } from './paths.ts';
import { type Json, refuse, StatesError } from './types.ts';

export type Expression =
  | { kind: 'path'; path: Path }
  | { kind: 'literal'; value: string | number }
  | { kind: 'call'; name: string; arguments: Expression[] };

/**
 * Parses the value of a field whose name ends in `.$`: a path or an intrinsic.
 *
 * @throws UnsupportedDefinition naming `where`.
 */
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
      return INTRINSICS[name]!.call(values, (message) => {
        throw new StatesError('States.IntrinsicFailure', `${where}: ${name}: ${message}`);
      });
    }
  }
}

type Fail = (message: string) => never;

interface Intrinsic {
  /** How many arguments it takes; for States.Format this depends on the template. */
  takes?: number;
  call(values: Json[], fail: Fail): Json;
}

export const INTRINSICS: Record<string, Intrinsic> = {
  'States.Format': {
    call([template, ...values], fail) {
      const texts = values.map((value) =>
        typeof value === 'object' && value !== null
          ? fail('values must be strings, numbers, booleans or null')
          : String(value),
      );
      return string(template, fail).replaceAll('{}', () => texts.shift()!);
    },
  },
  'States.JsonToString': { takes: 1, call: ([value]) => JSON.stringify(value) },
  'States.ArrayGetItem': {
    takes: 2,
    call([list, index], fail) {
      if (!Array.isArray(list)) return fail(`expected an array, found ${JSON.stringify(list)}`);
      return list[index as number] ?? fail(`no element ${index} in an array of ${list.length}`);
    },
  },
  'States.StringSplit': {
    takes: 2,
    call([text, separator], fail) {
      if (string(separator, fail).length !== 1) fail('only one separator of one character is supported');
      return string(text, fail).split(separator as string);
    },
  },
  /** Differs on every call: a training job's name must be new at every attempt. */
  'States.UUID': { takes: 0, call: () => randomUUID() },
};

const string = (value: Json | undefined, fail: Fail): string =>
  typeof value === 'string' ? value : fail(`expected a string, found ${JSON.stringify(value)}`);

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
    if (next === "'")
      return { kind: 'literal', value: this.take(/'[^'\\]*'/y, "a 'string' without escapes").slice(1, -1) };
    if (this.text.startsWith('States.', this.at)) return this.call();
    const word = this.take(/[^,()\s]+/y, 'an argument');
    if (next === '$') return { kind: 'path', path: parsePath(word, this.where) };
    if (/^\d+$/.test(word)) return { kind: 'literal', value: Number(word) };
    return this.refuse(`"${word}" is neither a path, a 'string', a whole number nor an intrinsic`);
  }

  private call(): Expression {
    const name = this.take(/[\w.]+/y, 'an intrinsic');
    if (!Object.hasOwn(INTRINSICS, name)) this.refuse(`${name} is not supported`);
    this.take(/\(/y, '(');
    const values: Expression[] = [];
    this.space();
    while (this.text[this.at] !== ')') {
      if (values.length > 0) this.take(/,/y, ', or )');
      this.space();
      values.push(this.argument());
      this.space();
    }
    this.at++;
    const { takes = this.formatted(values) } = INTRINSICS[name]!;
    if (values.length !== takes) this.refuse(`${name} takes ${takes} arguments here, not ${values.length}`);
    return { kind: 'call', name, arguments: values };
  }

  /** How many arguments a template takes, itself included. */
  private formatted([template]: Expression[]): number {
    if (template?.kind !== 'literal' || typeof template.value !== 'string')
      return this.refuse("only a 'string' is supported as the template of States.Format");
    const texts = template.value.split('{}');
    if (/[{}]/.test(texts.join(''))) this.refuse('a lone brace in the template of States.Format');
    return texts.length;
  }

  private take(pattern: RegExp, expected: string): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (!found) return this.refuse(`expected ${expected} at "${this.text.slice(this.at)}"`);
    this.at += found.length;
    return found;
  }

  private space(): void {
    while (this.text[this.at] === ' ') this.at++;
  }

  private refuse(message: string): never {
    return refuse(this.where, `in "${this.text}": ${message}`);
  }
}
