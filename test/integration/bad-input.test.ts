/** What cannot work fails early, with an Error and Cause that name the field or file; and no name is used twice. */
import {
  DeleteFunctionConcurrencyCommand,
  LambdaClient,
  ListFunctionsCommand,
  PutFunctionConcurrencyCommand,
} from '@aws-sdk/client-lambda';
import { expect, it } from 'vitest';
import { ended, freshId, history, lakeConfig, ownRunner, processes, runStore, start } from './support.ts';

/** A configuration that the first state refuses. */
const refused = () => ({ config: { ...lakeConfig(), stages: 3 } });

it('an unknown field of the configuration fails in the first state', async () => {
  const run = freshId('unknown-field');
  const executionArn = await start(refused(), run);
  const execution = await ended(executionArn);
  expect(execution).toMatchObject({ status: 'FAILED', error: 'ConfigError' });
  expect(execution.cause).toMatch(/stages: unknown field; the fields here are .*pretrain/);
  const entered = (await history(executionArn)).flatMap(
    ({ stateEnteredEventDetails }) => stateEnteredEventDetails ?? [],
  );
  expect(entered.map(({ name }) => name)).toEqual(['Validate the run', 'Run failed']);
  expect(await runStore(run).list('')).toEqual([]);
});

it('an unknown field of the input itself, and a configuration that is not there', async () => {
  const [field, file] = await Promise.all([
    start({ configuration: {} }, freshId('input')).then(ended),
    start({ config: 's3://no-such-bucket/config.json' }, freshId('no-config')).then(ended),
  ]);
  expect(field).toMatchObject({ status: 'FAILED', error: 'ConfigError' });
  expect(field.cause).toMatch(/configuration: unknown field; the fields are config, /);
  expect(file).toMatchObject({ status: 'FAILED', error: 'ConfigError' });
  expect(file.cause).toMatch(/s3:\/\/no-such-bucket\/config\.json does not exist/);
});

it('a corpus URI that does not exist fails in the first state', async () => {
  const run = freshId('no-corpus');
  const config = lakeConfig();
  config.corpus.input = [config.corpus.input[0]!.replace('novels', 'nowhere')];
  const execution = await ended(await start({ config }, run));
  expect(execution).toMatchObject({ status: 'FAILED', error: 'InputError' });
  expect(execution.cause).toMatch(/s3:.*nowhere.*no such file; correct corpus\.input/);
  expect(ownRunner ? await processes(run) : []).toEqual([]);
});

it('the same execution name twice: once is started, and other input under it is refused', async () => {
  const name = freshId('twice');
  const first = await start({ config: lakeConfig(), dryRun: true }, name);
  await expect(start({ config: lakeConfig() }, name)).rejects.toThrow(/Already/i);
  expect(await ended(first)).toMatchObject({ status: 'SUCCEEDED' });
  // A name that has ended is taken for ninety days.
  await expect(start({ config: lakeConfig(), dryRun: true }, name)).rejects.toThrow(/Already/i);
  expect(ownRunner ? await processes(name) : []).toEqual([]); // a dry run pays for no job
});

it('a function that is throttled three times is called again', async () => {
  const lambda = new LambdaClient({});
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  const { FunctionName } = Functions.find((one) => one.Environment?.Variables?.MATES_FUNCTION === 'validate-run')!;
  await lambda.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }));
  let executionArn: string;
  try {
    executionArn = await start(refused(), freshId('throttled'));
    await expect.poll(() => throttled(executionArn), { timeout: 60_000, interval: 250 }).toBeGreaterThanOrEqual(3);
  } finally {
    await lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName }));
  }
  // When it is called at last, it refuses the input as always.
  expect(await ended(executionArn)).toMatchObject({ status: 'FAILED', error: 'ConfigError' });
});

const throttled = async (executionArn: string) =>
  (await history(executionArn)).filter(
    ({ taskFailedEventDetails: failed }) => failed?.error === 'Lambda.TooManyRequestsException',
  ).length;
