/**
 * Reference paths: `$`, `$.a.b`, `$['a b']`, `$.a[0]`, and the same after `$$` for the context object. The rest of
 * JSONPath (wildcards, filters, slices, `..`) can yield several nodes; it is refused where the path is parsed.
 */
import { type Json, type JsonObject, StatesError, UnsupportedDefinition } from './types.ts';

export interface Path {
  /** The path as written, for messages. */
  text: string;
  root: 'input' | 'context';
  steps: (string | number)[];
}

/** What paths are evaluated against: `$` and `$$`. */
export interface Scope {
  input: Json;
  context: JsonObject;
}

/** The fields of the context object that are filled in. */
const CONTEXT = [
  'Execution.Id',
  'Execution.Input',
  'Execution.Name',
  'Execution.StartTime',
  'StateMachine.Id',
  'StateMachine.Name',
  'State.Name',
  'State.EnteredTime',
  'State.RetryCount',
  'Map.Item.Index',
  'Map.Item.Value',
];

const STEP = /\.([\p{L}_][\p{L}\p{N}_-]*)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]/uy;

/** @throws UnsupportedDefinition naming `where` when the text is not a reference path. */
export function parsePath(text: string, where: string): Path {
  if (!text.startsWith('$')) throw new UnsupportedDefinition(`${where}: "${text}" is not a path; paths begin with $.`);
  const root = text.startsWith('$$') ? 'context' : 'input';
  const steps: Path['steps'] = [];
  let at = root === 'context' ? 2 : 1;
  while (at < text.length) {
    STEP.lastIndex = at;
    const step = STEP.exec(text);
    if (!step)
      throw new UnsupportedDefinition(
        `${where}: "${text}" has "${text.slice(at)}", which is not supported; ` +
          "use reference paths only: $.name, ['name'] and [0].",
      );
    const [, name, single, double, index] = step;
    steps.push(index === undefined ? (name ?? unquote((single ?? double)!)) : Number(index));
    at = STEP.lastIndex;
  }
  if (root === 'context' && !CONTEXT.includes(steps.slice(0, steps[0] === 'Map' ? 3 : 2).join('.')))
    throw new UnsupportedDefinition(`${where}: "${text}" is not supported; known are $$.${CONTEXT.join(', $$.')}.`);
  return { text, root, steps };
}

/** The value a path leads to, or undefined when there is none. */
export function find(path: Path, scope: Scope): Json | undefined {
  let at: Json | undefined = path.root === 'context' ? scope.context : scope.input;
  for (const step of path.steps) {
    if (typeof step === 'number') at = Array.isArray(at) ? at[step] : undefined;
    else at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

/** @throws StatesError `error` (States.Runtime by default) when the path leads nowhere. */
export function get(path: Path, scope: Scope, where: string, error = 'States.Runtime'): Json {
  const value = find(path, scope);
  if (value !== undefined) return value;
  const root = path.root === 'context' ? scope.context : scope.input;
  throw new StatesError(
    error,
    `The JSONPath '${path.text}' specified for the field '${where}' could not be found in the input '${shorten(root)}'`,
  );
}

/**
 * A copy of `input` with `value` where the path leads; missing objects on the way are made.
 *
 * @throws StatesError States.ResultPathMatchFailure where the input has another kind of value in the way.
 */
export function put(path: Path, input: Json, value: Json): Json {
  const place = (at: Json | undefined, depth: number): Json => {
    const step = path.steps[depth];
    if (step === undefined) return value;
    if (typeof step === 'number') {
      if (!Array.isArray(at) || step >= at.length) throw mismatch(path, input);
      return at.with(step, place(at[step], depth + 1));
    }
    if (at !== undefined && !isObject(at)) throw mismatch(path, input);
    const present = at && Object.hasOwn(at, step) ? at[step] : undefined;
    return { ...at, [step]: place(present, depth + 1) };
  };
  return place(input, 0);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mismatch(path: Path, input: Json): StatesError {
  return new StatesError(
    'States.ResultPathMatchFailure',
    `Unable to apply ResultPath '${path.text}' to the input '${shorten(input)}'`,
  );
}

function unquote(name: string): string {
  return name.replace(/\\(.)/gu, '$1');
}

export function shorten(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 500 ? `${text.slice(0, 500)}...` : text;
}
