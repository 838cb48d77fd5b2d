/**
 * Reference paths made of names: `$`, `$.a.b`, and the same after `$$` for the context object. The rest of JSONPath
 * (indices, wildcards, filters, `..`) is refused when the path is parsed.
 */
import { type Json, type JsonObject, refuse, StatesError } from './types.ts';

export interface Path {
  /** The path as written, for messages. */
  text: string;
  root: 'input' | 'context';
  names: string[];
}

/** What paths are evaluated against: `$` and `$$`. */
export interface Scope {
  input: Json;
  context: JsonObject;
}

/** The fields of the context object that are filled in. */
export const CONTEXT = ['Execution.Id', 'Execution.Name', 'Map.Item.Value'];

const PATH = /^\$\$?(\.[A-Za-z_]\w*)*$/;

/** @throws UnsupportedDefinition naming `where` when the text is not a reference path. */
export function parsePath(text: string, where: string): Path {
  if (!PATH.test(text)) refuse(where, `"${text}" is not supported; use reference paths of names, such as $.name.name`);
  const [root, ...names] = text.split('.');
  if (root === '$') return { text, root: 'input', names };
  if (!CONTEXT.some((known) => `${names.join('.')}.`.startsWith(`${known}.`)))
    refuse(where, `"${text}" is not supported; known are $$.${CONTEXT.join(', $$.')}`);
  return { text, root: 'context', names };
}

/** @throws StatesError `error` (States.Runtime by default) when the path leads nowhere. */
export function get({ text, root, names }: Path, scope: Scope, where: string, error = 'States.Runtime'): Json {
  let at: Json = scope[root];
  for (const name of names) {
    if (!isObject(at) || !Object.hasOwn(at, name))
      throw new StatesError(
        error,
        `The JSONPath '${text}' specified for the field '${where}' could not be found in the input '${shorten(scope[root])}'`,
      );
    at = at[name]!;
  }
  return at;
}

/**
 * A copy of `input` with `value` where the path leads; missing objects on the way are created.
 *
 * @throws StatesError States.ResultPathMatchFailure when another kind of value is in the way.
 */
export function put({ text, names }: Path, input: Json, value: Json): Json {
  const place = (at: Json | undefined, [name, ...others]: string[]): Json => {
    if (name === undefined) return value;
    if (at !== undefined && !isObject(at))
      throw new StatesError(
        'States.ResultPathMatchFailure',
        `Unable to apply ResultPath '${text}' to the input '${shorten(input)}'`,
      );
    const present = at && Object.hasOwn(at, name) ? at[name] : undefined;
    return { ...at, [name]: place(present, others) };
  };
  return place(input, names);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shorten(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 500 ? `${text.slice(0, 500)}...` : text;
}
