import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseConfig, parseJson, setField } from '../core/config/load.ts';
import { resolvePaths } from '../core/config/paths.ts';
import type { RunConfig } from '../core/config/schema.ts';
import { ConfigError } from '../core/errors.ts';
import { absolute } from './paths.ts';

/** The fields that `--set` and `--seed` change. */
export interface Changes {
  set?: string[];
  seed?: string;
}

/**
 * Reads a configuration file, applies `--set` and `--seed`, and makes its paths absolute: those in the file are relative
 * to the file.
 */
export async function loadConfigFile(file: string, changes: Changes = {}): Promise<RunConfig> {
  const raw = await readConfigFile(file);
  applyChanges(raw, changes);
  const base = dirname(absolute(file));
  return resolvePaths(parseConfig(raw, file), (path) => resolve(base, path));
}

/** The file's JSON object, before its fields are checked. */
export async function readConfigFile(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(absolute(file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new ConfigError(`${file}: no such file; see examples/ for configurations.`);
    throw error;
  });
  const raw = parseJson(text, file);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw new ConfigError(`${file}: expected a JSON object of fields; see examples/quickstart.json.`);
  return raw as Record<string, unknown>;
}

export function applyChanges(raw: Record<string, unknown>, { set = [], seed }: Changes): void {
  for (const assignment of set) setField(raw, assignment);
  if (seed !== undefined) setField(raw, `seed=${seed}`);
}
