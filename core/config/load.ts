import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { type RunConfig, runConfig } from './schema.ts';

/**
 * Checks a parsed configuration and fills in defaults.
 *
 * @param source what to name in messages: a file name or URI.
 * @throws ConfigError that names every bad field, what was found there and what is expected.
 */
export function parseConfig(value: unknown, source: string): RunConfig {
  const parsed = runConfig.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.flatMap((issue) => describe(issue, value));
  throw new ConfigError(`${source}: ${lines.join('\n  ')}`);
}

/** Parses a configuration file's text. */
export function parseConfigText(text: string, source: string): RunConfig {
  return parseConfig(parseJson(text, source), source);
}

export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const at = /position (\d+)/.exec(message);
    const line = at && !/line \d/.test(message) ? `, line ${text.slice(0, Number(at[1])).split('\n').length}` : '';
    throw new ConfigError(`${source}${line}: not valid JSON (${message}); mend the file at that place.`);
  }
}

/**
 * Applies `--set a.b=value` to a raw configuration, before it is checked. The value is read as JSON where it is JSON,
 * else as a string.
 */
export function setField(config: Record<string, unknown>, assignment: string): void {
  const cut = assignment.indexOf('=');
  const path = assignment.slice(0, cut).trim().split('.');
  if (cut < 1 || path.some((name) => name === ''))
    throw new ConfigError(`--set ${assignment}: expected FIELD=VALUE, such as --set pretrain.stages=2.`);
  let at = config;
  for (const name of path.slice(0, -1)) {
    const next = at[name];
    if (next !== undefined && (typeof next !== 'object' || next === null || Array.isArray(next)))
      throw new ConfigError(`--set ${assignment}: ${name} is not a group of fields.`);
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
  at[path[path.length - 1]!] = value;
}

function describe(issue: z.core.$ZodIssue, root: unknown): string[] {
  const at = issue.path.length ? issue.path.join('.') : 'the configuration';
  if (issue.code === 'unrecognized_keys') {
    const group = issue.path.length ? `${issue.path.join('.')}.` : '';
    const known = fieldsAt(issue.path);
    return issue.keys.map(
      (key) => `${group}${key}: unknown field${known.length ? `; the fields here are ${known.join(', ')}.` : '.'}`,
    );
  }
  const found = issue.path.reduce<unknown>((value, name) => (value as Record<PropertyKey, unknown>)?.[name], root);
  const shown = found === undefined ? 'it is missing' : `found ${JSON.stringify(found)}`;
  return [`${at}: ${issue.message} (${shown}).`];
}

/** Names of the fields that the schema knows at a path, to help with a typo. */
function fieldsAt(path: PropertyKey[]): string[] {
  let node = z.toJSONSchema(runConfig, { io: 'input' }) as JsonSchema;
  for (const name of path) node = node.properties?.[String(name)] ?? {};
  return Object.keys(node.properties ?? {});
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
}
