import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { TOKENIZER_FILE } from '../layout.ts';
import { isObject } from '../objects.ts';
import { corpusFields, replacesGroup } from './corpus-schema.ts';
import { type RunConfig, runConfig } from './schema.ts';

/** A field that a flag has set. */
export interface SetField {
  /** As it was given, such as `--seed 7`. */
  flag: string;
  path: string[];
}

/**
 * Checks a parsed configuration and fills in defaults.
 *
 * @param source what to name in messages: a file name or URI.
 * @param fromFlags fields that flags have set: for errors in these, the message names the flag.
 * @throws ConfigError that names every bad field, what was found there and what is expected.
 */
export function parseConfig(value: unknown, source: string, fromFlags: readonly SetField[] = []): RunConfig {
  const parsed = runConfig.safeParse(withOwnTokenizer(value));
  const found = [...besidePrepared(value), ...(parsed.error?.issues ?? []).flatMap((issue) => faults(issue, value))];
  if (parsed.success && found.length === 0) return parsed.data;
  const ofFile: string[] = [];
  const ofFlags: string[] = [];
  for (const { path, words } of found) {
    const flag = flagOf(path, fromFlags);
    const at = path.length ? path.join('.') : 'the configuration';
    if (!flag) ofFile.push(`${at}: ${words}`);
    else ofFlags.push(path.length === flag.path.length ? `${flag.flag}: ${words}` : `${flag.flag}: ${at}: ${words}`);
  }
  throw new ConfigError([...(ofFile.length ? [`${source}: ${ofFile.join('\n  ')}`] : []), ...ofFlags].join('\n'));
}

/** The flag that has set a field, one of its group or the group that it is of. */
export function flagOf(path: readonly string[], fromFlags: readonly SetField[]): SetField | undefined {
  return fromFlags.findLast((one) => startsWith(path, one.path) || startsWith(one.path, path));
}

/**
 * A model to go on from brings its tokenizer, unless the configuration names one or a corpus that has one. Which token
 * ends its documents may be named all the same.
 */
function withOwnTokenizer(value: unknown): unknown {
  if (!isObject(value) || !isObject(value.model) || !isObject(value.corpus)) return value;
  const { model, corpus } = value;
  if (!isFolder(model.pretrained) || 'prepared' in corpus) return value;
  const given = 'tokenizer' in corpus ? corpus.tokenizer : {};
  if (!isObject(given) || 'file' in given || 'train' in given) return value;
  return { ...value, corpus: { ...corpus, tokenizer: { file: `${model.pretrained}/${TOKENIZER_FILE}`, ...given } } };
}

const isFolder = (value: unknown): value is string => typeof value === 'string' && value !== '';

/**
 * Whether a path is that of a group or lies within it. The empty path is no group: no flag sets the whole
 * configuration.
 */
const startsWith = (path: readonly string[], group: readonly string[]) =>
  group.length > 0 && group.every((name, i) => path[i] === name);

export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')); // a byte order mark, which editors on Windows write
  } catch (error) {
    const message = (error as Error).message.replace(/ \(line \d+ column \d+\)$/, ''); // Node 22 and later add it
    const at = /position (\d+)/.exec(message);
    const line = at ? `, line ${text.slice(0, Number(at[1])).split('\n').length}` : '';
    throw new ConfigError(`${source}${line}: not valid JSON (${message}); correct the file at that place.`);
  }
}

/**
 * Applies `--set a.b=value` to a raw configuration, before it is checked. The value is read as JSON where it is JSON,
 * else as a string. A field that excludes others of its group, such as `corpus.prepared`, takes their place.
 *
 * @returns the field's path.
 */
export function setField(config: Record<string, unknown>, assignment: string): string[] {
  const cut = assignment.indexOf('=');
  const path = assignment.slice(0, cut).trim().split('.');
  if (cut < 1 || path.some((name) => name === ''))
    throw new ConfigError(`--set ${assignment}: expected FIELD=VALUE, such as --set pretrain.stages=2.`);
  let at = config;
  const refuseInherited = (name: string) => {
    if (name in at && !Object.hasOwn(at, name))
      throw new ConfigError(`--set ${assignment}: unknown field ${name}; core/config/schema.ts lists the fields.`);
  };
  for (const name of path.slice(0, -1)) {
    refuseInherited(name);
    const next = at[name];
    if (next !== undefined && !isObject(next))
      throw new ConfigError(`--set ${assignment}: ${name} is not a group of fields; it takes a value itself.`);
    if (next === undefined) at[name] = {};
    at = at[name] as Record<string, unknown>;
  }
  const text = assignment.slice(cut + 1);
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {
    // not JSON: a bare string such as a path
  }
  const last = path[path.length - 1]!;
  refuseInherited(last);
  if (replacesGroup(path.at(-2), [last])) for (const name of Object.keys(at)) delete at[name];
  at[last] = value;
  return path;
}

/** A prepared corpus brings what these fields would say; were they read all the same, a run would record what is not so. */
function besidePrepared(value: unknown): Fault[] {
  if (!isObject(value) || !isObject(value.corpus) || value.corpus.prepared === undefined) return [];
  return Object.keys(value.corpus)
    .filter((name) => name !== 'prepared' && name in corpusFields.shape)
    .map((name) => ({
      path: ['corpus', name],
      words: 'has no effect beside corpus.prepared, which brings its own: leave out one of the two.',
    }));
}

interface Fault {
  /** Path of the field at fault. */
  path: string[];
  words: string;
}

function faults(issue: z.core.$ZodIssue, root: unknown): Fault[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(issue.path, root);
    const words = `unknown field${known.length ? `; the fields here are ${known.join(', ')}.` : '.'}`;
    return issue.keys.map((key) => ({ path: [...path, key], words }));
  }
  const found = issue.path.reduce<unknown>((value, name) => (value as Record<PropertyKey, unknown>)?.[name], root);
  const shown =
    found === undefined ? 'it is missing' : `found ${typeof found === 'number' ? found : JSON.stringify(found)}`;
  return [{ path, words: `${issue.message} (${shown}).` }];
}

/** Names of the fields that the schema knows at a path, to help with a typo. */
function fieldsAt(path: PropertyKey[], root: unknown): string[] {
  let node = z.toJSONSchema(runConfig, { io: 'input' }) as JsonSchema;
  let value = root;
  for (const name of path) {
    node = node.properties?.[String(name)] ?? {};
    value = (value as Record<PropertyKey, unknown>)[name];
    node = node.oneOf?.find((kind) => isOfKind(value as Record<string, unknown>, kind)) ?? node;
  }
  return Object.keys(node.properties ?? {});
}

/** Whether a value has what one kind of it, such as a model's architecture, is told by. */
const isOfKind = (value: Record<string, unknown>, { properties = {} }: JsonSchema) =>
  Object.entries(properties).every(
    ([name, { const: only, default: absent }]) => only === undefined || (value[name] ?? absent) === only,
  );

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  oneOf?: JsonSchema[];
  const?: unknown;
  default?: unknown;
}
