/** Choice rules: a variable compared with a value; https://states-language.net/spec.html#choice-state. */
import type { Visit } from './frame.ts';
import { get, parsePath } from './paths.ts';
import { type ChoiceRule, type ChoiceState, type Json, refuse } from './types.ts';

/** The type of each comparison's operand. */
export const COMPARISONS: Record<string, string> = { BooleanEquals: 'boolean', StringEquals: 'string' };

/** @returns the state that a Choice leads to. */
export function choose({ name, state, frame: { context } }: Visit<ChoiceState>, input: Json): string {
  const rule = state.Choices.find(({ Variable, BooleanEquals, StringEquals }, i) => {
    const where = `${name}.Choices[${i}].Variable`;
    // A value of another type is unequal, not an error.
    return get(parsePath(Variable, where), { input, context }, where) === (BooleanEquals ?? StringEquals);
  });
  return rule?.Next ?? state.Default;
}

/** @throws UnsupportedDefinition when {@link choose} cannot evaluate a rule. */
export function checkRule(rule: ChoiceRule, where: string): void {
  const { Variable, Next: _, ...comparison } = rule;
  const names = Object.keys(comparison);
  const unknown = names.find((name) => !Object.hasOwn(COMPARISONS, name));
  if (unknown) refuse(`${where}.${unknown}`, 'this comparison is not supported');
  const [name] = names;
  if (!name || names.length > 1) refuse(where, `expected one comparison, found ${names.join(', ') || 'none'}`);
  if (typeof Variable !== 'string') refuse(`${where}.Variable`, 'expected a path');
  parsePath(Variable, `${where}.Variable`);
  if (typeof rule[name as keyof ChoiceRule] !== COMPARISONS[name])
    refuse(`${where}.${name}`, `expected a ${COMPARISONS[name]}`);
}
