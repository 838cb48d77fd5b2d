import { readFile } from 'node:fs/promises';
import { dirname, parse, resolve } from 'node:path';
import { parseConfig, parseJson, type SetField, setField } from '../core/config/load.ts';
import { resolvePath, resolvePaths } from '../core/config/paths.ts';
import { type RunConfig, runConfig } from '../core/config/schema.ts';
import { ConfigError } from '../core/errors.ts';
import { isObject } from '../core/objects.ts';
import { absolute, storeOpener } from '../core/storage/index.ts';
import { withPretrainedFields } from '../engine/files/pretrained-fields.ts';

/** The fields that `--set` and `--seed` change. */
export interface Changes {
  set?: string[];
  seed?: string;
}

/** A configuration before its fields are checked, and the fields that flags have set. */
export interface RawConfig {
  fields: Record<string, unknown>;
  fromFlags: SetField[];
}

/**
 * Reads a configuration file, applies `--set` and `--seed`, and makes its paths absolute: those in the file are relative
 * to the file.
 */
export async function loadConfigFile(file: string, changes: Changes = {}): Promise<RunConfig> {
  const { fields, fromFlags } = await readConfigFile(file, changes);
  const beside = (path: string) => resolve(dirname(absolute(file)), path);
  const open = storeOpener();
  const whole = await withPretrainedFields(fields, (folder) => open(resolvePath(folder, beside)), file, fromFlags);
  return resolvePaths(parseConfig(whole, file, fromFlags), beside);
}

/** The file's JSON object with the changes applied. If it has no `name`, it is named after the file. */
export async function readConfigFile(file: string, changes: Changes): Promise<RawConfig> {
  const path = absolute(file);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new ConfigError(`${file}: no such file; see examples/ for configurations.`);
    if (error.code === 'EISDIR') throw new ConfigError(`${file}: this is a folder; name a configuration file.`);
    throw error;
  });
  const fields = parseJson(text, file);
  if (!isObject(fields))
    throw new ConfigError(`${file}: expected a JSON object of fields; see examples/quickstart.json.`);
  const fromFlags = applyChanges(fields, changes);
  // Otherwise two unnamed configurations would both be the run `run`.
  const name = nameAfter(parse(path).name);
  if (name && !('name' in fields)) fields.name = name;
  return { fields, fromFlags };
}

/** A run's name after that of a file, whose other characters become hyphens: `my_run.v1` gives `my-run-v1`. */
function nameAfter(stem: string): string | undefined {
  const hyphenated = stem.replaceAll(/[^A-Za-z0-9]+/g, '-').replace(/^-/, '');
  return runConfig.shape.name.safeParse(hyphenated.slice(0, 40)).data;
}

/** @returns the fields that were set. */
export function applyChanges(fields: Record<string, unknown>, { set = [], seed }: Changes): SetField[] {
  const fromFlags = set.map((assignment) => ({ flag: `--set ${assignment}`, path: setField(fields, assignment) }));
  if (seed !== undefined) fromFlags.push({ flag: `--seed ${seed}`, path: setField(fields, `seed=${seed}`) });
  return fromFlags;
}
