/**
 * As much of IAM's evaluation as the policies of this project need: identity policies that only allow.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */

export interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** What a call asks for: an action on a resource, with the condition keys that are known of it. */
export interface Demand {
  action: string;
  /** ARN, or `*` for an action that has no resources. */
  resource: string;
  context?: Record<string, string>;
}

/** One action on one resource that a statement allows. */
export interface Grant {
  action: string;
  resource: string;
  condition?: Statement['Condition'];
}

/** @throws Error for what is not evaluated here, so that no statement is misread. */
export function grantsOf(statements: Statement[]): Grant[] {
  return statements.flatMap(({ Effect, Action, Resource, Condition, ...others }) => {
    const unknown = Object.keys(others).filter((field) => field !== 'Sid');
    if (Effect !== 'Allow' || unknown.length || !Action || !Resource)
      throw new Error(`A statement with ${[Effect, ...unknown].join(', ')} is not evaluated by these tests.`);
    return [Action]
      .flat()
      .flatMap((action) => [Resource].flat().map((resource) => ({ action, resource, condition: Condition })));
  });
}

export function covers({ action, resource, condition = {} }: Grant, demand: Demand): boolean {
  return (
    matches(action.toLowerCase(), demand.action.toLowerCase()) &&
    matches(resource, demand.resource) &&
    Object.entries(condition).every(([operator, keys]) => holds(operator, keys, demand.context ?? {}))
  );
}

/** A condition of several keys holds when each does, a key when any of its values fits; a key that is not there fails. */
function holds(operator: string, keys: Record<string, string | string[]>, context: Record<string, string>): boolean {
  const compare = { StringEquals: (pattern: string, text: string) => pattern === text, StringLike: matches }[operator];
  if (!compare) throw new Error(`The condition ${operator} is not evaluated by these tests.`);
  return Object.entries(keys).every(([key, values]) => {
    const given = context[key];
    return given !== undefined && [values].flat().some((value) => compare(value, given));
  });
}

/** `*` is any text, `?` any character. */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
