import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { parseConfig, parseJson, setField } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import { ConfigError } from '../../core/errors.ts';
import { isLocalPath } from '../../core/storage/index.ts';

/**
 * Reads a configuration file, applies `--set` and `--seed`, and makes its paths absolute: those in the file are relative
 * to the file.
 */
export async function loadConfigFile(
  file: string,
  options: { set?: string[]; seed?: string } = {},
): Promise<RunConfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new ConfigError(`${file}: no such file; see examples/ for configurations.`);
    throw error;
  });
  const raw = parseJson(text, file);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw new ConfigError(`${file}: expected a JSON object of fields; see examples/quickstart.json.`);
  for (const assignment of options.set ?? []) setField(raw as Record<string, unknown>, assignment);
  if (options.seed !== undefined) setField(raw as Record<string, unknown>, `seed=${options.seed}`);
  return withAbsolutePaths(parseConfig(raw, file), dirname(resolve(file)));
}

function withAbsolutePaths(config: RunConfig, base: string): RunConfig {
  const absolute = (path: string) => (!isLocalPath(path) || isAbsolute(path) ? path : resolve(base, path));
  const { corpus, reference, heldOut, influenceModel } = config;
  return {
    ...config,
    corpus: {
      ...corpus,
      input: corpus.input.map(absolute),
      prepared: corpus.prepared && absolute(corpus.prepared),
      tokenizer: 'file' in corpus.tokenizer ? { file: absolute(corpus.tokenizer.file) } : corpus.tokenizer,
    },
    reference: { ...reference, input: absolute(reference.input) },
    heldOut: { ...heldOut, input: absolute(heldOut.input) },
    influenceModel: { ...influenceModel, pretrained: influenceModel.pretrained && absolute(influenceModel.pretrained) },
  };
}
