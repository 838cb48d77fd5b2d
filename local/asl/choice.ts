/** Choice rules; https://states-language.net/spec.html#choice-state. */
import { find, get, parsePath, type Scope } from './paths.ts';
import { type ChoiceRule, type Json, UnsupportedDefinition } from './types.ts';

type Compare = (value: Json, other: Json) => boolean;

const order: [name: string, holds: (difference: number) => boolean][] = [
  ['Equals', (d) => d === 0],
  ['LessThan', (d) => d < 0],
  ['GreaterThan', (d) => d > 0],
  ['LessThanEquals', (d) => d <= 0],
  ['GreaterThanEquals', (d) => d >= 0],
];

/** Comparisons are false, not errors, between values of other types. */
const COMPARISONS: Record<string, { accepts: (operand: unknown) => boolean; compare: Compare; path: boolean }> = {};
for (const [name, holds] of order) {
  COMPARISONS[`String${name}`] = {
    accepts: isString,
    path: true,
    compare: (a, b) => isString(a) && isString(b) && holds(codePointOrder(a, b)),
  };
  COMPARISONS[`Numeric${name}`] = {
    accepts: isNumber,
    path: true,
    compare: (a, b) => isNumber(a) && isNumber(b) && holds(a - b),
  };
  COMPARISONS[`Timestamp${name}`] = {
    accepts: isTimestamp,
    path: true,
    compare: (a, b) => isTimestamp(a) && isTimestamp(b) && holds(Date.parse(a) - Date.parse(b)),
  };
}
COMPARISONS.BooleanEquals = {
  accepts: isBoolean,
  path: true,
  compare: (a, b) => isBoolean(a) && isBoolean(b) && a === b,
};
COMPARISONS.StringMatches = {
  accepts: isString,
  path: false,
  compare: (a, pattern) => isString(a) && wildcard(pattern as string).test(a),
};

const TESTS: Record<string, (value: Json) => boolean> = {
  IsNull: (value) => value === null,
  IsString: isString,
  IsNumeric: isNumber,
  IsBoolean: isBoolean,
  IsTimestamp: isTimestamp,
};

/**
 * Whether a rule holds. And, Or stop at the first operand that decides, so `And: [IsPresent, ...]` guards what follows.
 *
 * @throws StatesError States.Runtime when a variable is missing, except for IsPresent.
 */
export function holds(rule: ChoiceRule, scope: Scope, where: string): boolean {
  if (rule.And) return (rule.And as ChoiceRule[]).every((inner, i) => holds(inner, scope, `${where}.And[${i}]`));
  if (rule.Or) return (rule.Or as ChoiceRule[]).some((inner, i) => holds(inner, scope, `${where}.Or[${i}]`));
  if (rule.Not) return !holds(rule.Not as ChoiceRule, scope, `${where}.Not`);
  const operator = operatorOf(rule, where);
  const variable = parsePath(rule.Variable as string, `${where}.Variable`);
  if (operator === 'IsPresent') return (find(variable, scope) !== undefined) === rule.IsPresent;
  const value = get(variable, scope, `${where}.Variable`);
  if (operator in TESTS) return TESTS[operator]!(value) === rule[operator];
  const plain = COMPARISONS[operator];
  if (plain) return plain.compare(value, rule[operator] as Json);
  const other = get(parsePath(rule[operator] as string, `${where}.${operator}`), scope, `${where}.${operator}`);
  return COMPARISONS[operator.slice(0, -'Path'.length)]!.compare(value, other);
}

/** @throws UnsupportedDefinition when a rule is none that {@link holds} can evaluate. */
export function checkRule(rule: ChoiceRule, where: string, nested = false): void {
  const refuse: (message: string) => never = (message) => {
    throw new UnsupportedDefinition(`${where}: ${message}`);
  };
  if (nested && 'Next' in rule) refuse('Next belongs to the outermost rule.');
  const names = Object.keys(rule).filter((name) => name !== 'Next' && name !== 'Comment');
  if (names.length === 1 && (names[0] === 'And' || names[0] === 'Or')) {
    const list = rule[names[0]];
    if (!Array.isArray(list) || list.length === 0) refuse(`${names[0]} needs a non-empty array.`);
    for (const [i, inner] of list.entries()) checkRule(inner, `${where}.${names[0]}[${i}]`, true);
    return;
  }
  if (names.length === 1 && names[0] === 'Not') {
    checkRule(rule.Not as ChoiceRule, `${where}.Not`, true);
    return;
  }
  if (typeof rule.Variable !== 'string') refuse('expected Variable, And, Or or Not.');
  parsePath(rule.Variable as string, `${where}.Variable`);
  const operator = operatorOf(rule, where);
  const operand = rule[operator];
  if (operator === 'IsPresent' || operator in TESTS) {
    if (!isBoolean(operand)) refuse(`${operator} takes true or false.`);
  } else if (COMPARISONS[operator]) {
    if (!COMPARISONS[operator].accepts(operand)) refuse(`${operator}: ${JSON.stringify(operand)} is of another type.`);
  } else if (operator.endsWith('Path') && COMPARISONS[operator.slice(0, -4)]?.path) {
    if (typeof operand !== 'string') refuse(`${operator} takes a path.`);
    parsePath(operand as string, `${where}.${operator}`);
  } else refuse(`the operator ${operator} is not supported.`);
}

function operatorOf(rule: ChoiceRule, where: string): string {
  const names = Object.keys(rule).filter((name) => !['Variable', 'Next', 'Comment'].includes(name));
  if (names.length !== 1)
    throw new UnsupportedDefinition(`${where}: expected one comparison, found ${names.join(', ') || 'none'}.`);
  return names[0]!;
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}
function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}
function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}
/** The profile of RFC 3339 that the States Language demands: capital T, and Z or an offset. */
function isTimestamp(value: unknown): value is string {
  return (
    isString(value) &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

function codePointOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** `*` stands for any text, `\*` for a star, `\\` for a backslash. */
function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/\\([\\*])|\*|[.+?^${}()|[\]\\]/g, (found, escaped?: string) => {
    if (escaped) return `\\${escaped}`;
    return found === '*' ? '[^]*' : `\\${found}`;
  });
  return new RegExp(`^${source}$`);
}
