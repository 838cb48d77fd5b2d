import { parseConfig, parseJson } from '../../core/config/load.ts';
import { ConfigError } from '../../core/errors.ts';
import { createRun } from '../../core/run/create-run.ts';
import { mergeFields, parseExecutionInput, type RunReference } from '../../core/run/execution-input.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { NotFoundError, splitUri } from '../../core/storage/index.ts';
import { lakeBucket, openerFromEnvironment } from '../environment.ts';

interface Event {
  input: unknown;
  executionName: string;
}

interface State {
  run: RunReference;
  stage: number;
  stages: number;
}

/**
 * The first state: checks the whole input and configuration, and creates the run's folder or finds it there to resume.
 *
 * @throws ConfigError within a second, naming the bad field.
 */
export async function handler(event: Event): Promise<State> {
  const input = parseExecutionInput(event.input);
  const open = openerFromEnvironment();
  const { raw, source } = await readConfig(input.config, open);
  const config = parseConfig(input.overrides ? mergeFields(raw, input.overrides) : raw, source);
  const id = input.runId ?? event.executionName.slice(0, 48).replace(/[^A-Za-z0-9-]/g, '-');
  const bucket = lakeBucket();
  const prefix = `runs/${id}`;
  const uri = `s3://${bucket}/${prefix}`;
  await createRun(open(uri), id, config, softwareVersions());
  return {
    run: { id, uri, bucket, prefix, trainer: input.trainer, dryRun: input.dryRun, maxCostUsd: input.maxCostUsd },
    stage: 0,
    stages: config.pretrain.stages,
  };
}

async function readConfig(
  config: string | Record<string, unknown> | undefined,
  open: ReturnType<typeof openerFromEnvironment>,
): Promise<{ raw: Record<string, unknown>; source: string }> {
  if (config === undefined)
    throw new ConfigError('execution input: config is missing; give a configuration or its URI.');
  if (typeof config !== 'string') return { raw: config, source: 'config' };
  const { folder, name } = splitUri(config);
  try {
    const text = new TextDecoder().decode(await open(folder).get(name));
    return { raw: parseJson(text, config) as Record<string, unknown>, source: config };
  } catch (error) {
    if (error instanceof NotFoundError) throw new ConfigError(`execution input: config ${config} does not exist.`);
    throw error;
  }
}
