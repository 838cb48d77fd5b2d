/** The interpreter of `mates run` and LocalStack's Step Functions take the same machine to the same end. */
import { setTimeout as delay } from 'node:timers/promises';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import {
  CreateStateMachineCommand,
  DeleteStateMachineCommand,
  DescribeStateMachineCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { beforeAll, describe, expect, it } from 'vitest';
import { getJson, S3Store } from '../../core/storage/index.ts';
import { execute } from '../../local/asl/interpreter.ts';
import { type Json, StatesError } from '../../local/asl/types.ts';
import { validate } from '../../local/asl/validate.ts';
import { JobRunner } from '../../local/jobs.ts';
import { Tasks, taskProblem } from '../../local/tasks.ts';
import { createQueue, registerScript } from './batch.ts';
import { type Parts, type SmallMachine, smallMachines } from './small-machines.ts';
import { ended, freshId, lake, machineArn, ownRunner, sfn } from './support.ts';

const SCRIPTS = { good: '', bad: 'process.exit(3)', slow: 'setTimeout(() => {}, 4000)' };
const KEY = 'tests/items.json';

type Outcome = { output: Json } | { error: string; cause: unknown };

let parts: Parts;
let tasks: Tasks;

beforeAll(async () => {
  if (!ownRunner) return;
  await new S3Store(lake, '').put(KEY, '[0, 1, 2]');
  await new S3Store(lake, '').put(`${KEY}.not-an-array`, '{}');
  const { Functions = [] } = await new LambdaClient({}).send(new ListFunctionsCommand({}));
  const named = (folder: string) =>
    Functions.find((one) => one.Environment?.Variables?.MATES_FUNCTION === folder)!.FunctionName!;
  const [advance, refuse] = [named('advance-stage'), named('validate-run')];
  const jobQueue = await createQueue();
  const [good, bad, slow] = await Promise.all(Object.values(SCRIPTS).map((script) => registerScript({ script })));
  parts = { advance, validate: refuse, jobQueue, good: good!, bad: bad!, slow: slow!, bucket: lake, key: KEY };
  const environment = { MATES_LAKE_BUCKET: lake };
  const definition = (script: string) => ({
    command: ['node', '-e', script],
    environment: {},
    retryStrategy: { attempts: 1, evaluateOnExit: [] },
  });
  tasks = new Tasks({
    pipeline: {
      definition: null,
      functions: new Map([
        [advance, { folder: 'advance-stage', environment }],
        [refuse, { folder: 'validate-run', environment }],
      ]),
      jobDefinitions: new Map([
        [good!, definition(SCRIPTS.good)],
        [bad!, definition(SCRIPTS.bad)],
        [slow!, definition(SCRIPTS.slow)],
      ]),
    },
    jobs: new JobRunner({
      program: ([file = '', ...rest]) => ({ file, arguments: rest }),
      environment: { PATH: process.env.PATH! },
      slots: 2,
    }),
    functionsDirectory: 'functions',
    environment: {},
  });
});

async function here({ definition, input = {} }: SmallMachine, name: string): Promise<Outcome> {
  const environment = {
    runTask: (call: Parameters<Tasks['run']>[0]) => tasks.run(call),
    readJson: (bucket: string, key: string) => getJson<Json>(new S3Store(bucket, ''), key),
    sleep: (seconds: number, signal: AbortSignal) => delay(seconds * 1000, undefined, { signal }),
    random: Math.random,
  };
  try {
    return { output: (await execute(validate(definition, taskProblem), input, environment, { name })).output };
  } catch (error) {
    if (!(error instanceof StatesError)) throw error;
    return { error: error.error, cause: told(error.cause) };
  }
}

async function onLocalStack({ definition, input = {} }: SmallMachine, name: string): Promise<Outcome> {
  const create = { name, definition: JSON.stringify(definition), roleArn: 'arn:aws:iam::000000000000:role/any' };
  const { stateMachineArn } = await sfn.send(new CreateStateMachineCommand(create));
  const started = await sfn.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }));
  const { status, output, error, cause } = await ended(started.executionArn!);
  await sfn.send(new DeleteStateMachineCommand({ stateMachineArn }));
  if (status === 'SUCCEEDED') return { output: JSON.parse(output!) };
  return { error: status === 'TIMED_OUT' ? 'States.Timeout' : error!, cause: told(cause) };
}

/** What a cause says, without what no two executions share: traces, ids and times. */
function told(cause: string | undefined): unknown {
  try {
    const { errorType, errorMessage, JobName, Status, StatusReason, Container, TrainingJobStatus } = JSON.parse(cause!);
    if (errorType) return { errorType, errorMessage };
    if (JobName) return { JobName, Status, StatusReason, ExitCode: Container.ExitCode };
    if (TrainingJobStatus) return { TrainingJobStatus };
  } catch {
    // a text for people
  }
  return cause;
}

/**
 * What a definition uses: `Task.Retry.JitterStrategy`, `Map.ResultPath=null`, resources, intrinsics, paths of the
 * context, modes of maps.
 */
function features({ TimeoutSeconds, States }: Definition): string[] {
  const found: string[] = TimeoutSeconds === undefined ? [] : ['TimeoutSeconds'];
  for (const state of Object.values(States)) {
    const { Type, ItemProcessor, ...fields } = state;
    for (const [name, value] of Object.entries(fields)) {
      found.push(`${Type}.${name}`);
      if (value === null) found.push(`${Type}.${name}=null`);
      if (typeof value === 'string' && value.startsWith('States.')) found.push(`${Type}.${name} by an intrinsic`);
      if (name === 'Resource') found.push(String(value));
      if (['Retry', 'Catch', 'Choices'].includes(name))
        for (const rule of value as object[]) found.push(...Object.keys(rule).map((key) => `${Type}.${name}.${key}`));
    }
    const text = JSON.stringify(fields);
    found.push(...(text.match(/States\.[A-Z]\w+(?=\()/g) ?? []), ...(text.match(/\$\$\.\w+\.\w+/g) ?? []));
    if (ItemProcessor) found.push(JSON.stringify(ItemProcessor.ProcessorConfig), ...features(ItemProcessor));
  }
  return found;
}

interface Definition {
  TimeoutSeconds?: number;
  States: Record<
    string,
    { Type: string; ItemProcessor?: Definition & { ProcessorConfig: object }; [field: string]: unknown }
  >;
}

describe.runIf(ownRunner)('small machines', () => {
  it('come to the same end in both engines, which is the one that the States Language says', async () => {
    const machines = smallMachines(parts);
    const run = async (engine: typeof here) => {
      const ends = await Promise.all(machines.map((one) => engine(one, freshId('machine'))));
      // Texts for people are each engine's own.
      return machines.map(({ name, expected }, i) => ({
        name,
        ...ends[i]!,
        ...(!('cause' in expected) && { cause: undefined }),
      }));
    };
    const [mine, theirs] = await Promise.all([run(here), run(onLocalStack)]);
    expect(mine).toMatchObject(machines.map(({ name, expected }) => ({ name, ...expected })));
    expect(mine).toEqual(theirs);
  });

  it('use whatever the deployed machine uses', async () => {
    const stateMachineArn = machineArn.split(':').slice(0, 7).join(':'); // without the alias
    const { definition } = await sfn.send(new DescribeStateMachineCommand({ stateMachineArn }));
    const covered = new Set(
      smallMachines(parts).flatMap(({ definition }) => features(definition as unknown as Definition)),
    );
    const used = new Set(features(JSON.parse(definition!)));
    expect([...used].filter((feature) => !covered.has(feature))).toEqual([]);
  });
});
