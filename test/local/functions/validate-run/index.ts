import { ConfigError } from '../../../../core/errors.ts';

/** Stands in for the pipeline's first function; the input tells how to fail. */
export async function handler({ input, executionName }: { input: Record<string, unknown>; executionName: string }) {
  if (input.fail === 'config') throw new ConfigError('model.heads: must divide model.width (128).');
  if (input.fail === 'bug') throw new TypeError('x is not a function');
  if (input.fail === 'disk') throw Object.assign(new Error('write'), { code: 'ENOSPC', path: '/lake/run.json' });
  const { MATES_FUNCTION, MATES_LAKE_BUCKET, MATES_LAKE_DIRECTORY } = process.env;
  if (MATES_FUNCTION !== 'validate-run' || MATES_LAKE_BUCKET !== 'lake' || !MATES_LAKE_DIRECTORY)
    throw new Error('not the declared environment');
  return {
    run: {
      id: executionName,
      uri: `s3://lake/runs/${executionName}`,
      bucket: 'lake',
      prefix: `runs/${executionName}`,
      trainer: input.trainer ?? 'batch',
      dryRun: input.dryRun ?? false,
    },
    stage: 0,
    stages: 2,
    ignored: undefined,
  };
}
