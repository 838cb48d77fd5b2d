import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ConfigError, RunError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../local/asl/types.ts';
import { JobRunner } from '../../local/jobs.ts';
import { Tasks, taskProblem } from '../../local/tasks.ts';
import { functionArn } from '../../local/template.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';
const SUBMIT = 'arn:aws:states:::batch:submitJob.sync';
const TRAIN = 'arn:aws:states:::sagemaker:createTrainingJob.sync';

function tasks(script = 'declared') {
  const environment = { MATES_FUNCTION: 'validate-run', MATES_LAKE_BUCKET: 'lake' };
  return new Tasks({
    pipeline: {
      definition: {},
      functions: new Map([['validate-run', { folder: 'validate-run', environment }]]),
      jobDefinitions: new Map([
        [
          'definition',
          {
            command: [script],
            environment: { A: '1', B: '2' },
            retryStrategy: { attempts: 2, evaluateOnExit: [] },
          },
        ],
      ]),
    },
    jobs: new JobRunner({
      program: (command) => ({
        file: process.execPath,
        arguments: [
          '-e',
          command.at(-1) === 'declared' ? "console.error('RunError: no luck'); process.exit(1)" : command.at(-1)!,
        ],
      }),
      environment: {},
      slots: 1,
    }),
    functionsDirectory: fileURLToPath(new URL('functions', import.meta.url)),
    environment: { MATES_LAKE_DIRECTORY: '/lake' },
  });
}
const call = (resource: string, parameters: Json) => ({
  resource,
  parameters,
  state: 'It',
  items: [],
  signal: new AbortController().signal,
});

describe('lambda:invoke', () => {
  const invoke = (on: Tasks, Payload: Json, FunctionName = functionArn('validate-run')) =>
    on.run(call(INVOKE, { FunctionName, Payload }));

  it('calls the handler in its environment, and takes that back', async () => {
    const before = { ...process.env };
    const answer = (await invoke(tasks(), { input: {}, executionName: 'x' })) as JsonObject;
    expect(answer).toMatchObject({ StatusCode: 200, Payload: { stage: 0, run: { id: 'x' } } });
    expect(answer.Payload).not.toHaveProperty('ignored');
    expect(process.env).toEqual(before);
    await expect(
      invoke(tasks(), { input: {}, executionName: 'x' }, `${functionArn('validate-run')}:live`),
    ).resolves.toBeDefined();
    await expect(invoke(tasks(), { input: {}, executionName: 'x' }, 'validate-run')).resolves.toBeDefined();
  });

  it.each([
    ['config', 'ConfigError', 'model.heads: must divide model.width (128).', ConfigError],
    ['bug', 'TypeError', 'x is not a function', RunError],
    ['disk', 'Error', 'No space left on the disk (/lake/run.json)', RunError],
  ])('an error has its name, and what Lambda makes of it (%s)', async (fail, error, message, type) => {
    const on = tasks();
    const thrown = await invoke(on, { input: { fail }, executionName: 'x' }).catch((reason) => reason);
    expect(thrown.error).toBe(error);
    const cause = JSON.parse(thrown.cause);
    expect(cause).toMatchObject({ errorType: error, trace: expect.any(Array) });
    expect(on.failureBehind(thrown.cause)).toBeInstanceOf(type);
    expect(on.failureBehind(thrown.cause)!.message).toContain(message);
  });

  it('fails for a function that does not exist', async () => {
    await expect(invoke(tasks(), {}, 'nobody')).rejects.toMatchObject({ error: 'Lambda.ResourceNotFoundException' });
  });
});

describe('batch:submitJob.sync', () => {
  const submit = (on: Tasks, parameters: JsonObject) =>
    on.run(
      call(SUBMIT, { JobName: 'probe-run-1', JobDefinition: 'definition', JobQueue: 'arn:x/queue', ...parameters }),
    );

  it('success is the description of the job', async () => {
    const script = 'process.exit(process.env.A + process.env.B + process.env.C === "1xy" ? 0 : 1)';
    const Environment = [
      { Name: 'B', Value: 'x' },
      { Name: 'C', Value: 'y' },
    ];
    const detail = await submit(tasks(script), { ContainerOverrides: { Environment } });
    expect(detail).toMatchObject({
      JobName: 'probe-run-1',
      JobId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      JobDefinition: 'definition',
      JobQueue: 'arn:x/queue',
      Status: 'SUCCEEDED',
      StatusReason: 'Essential container in task exited',
      Container: { ExitCode: 0, Environment: [{ Name: 'A', Value: '1' }, ...Environment] },
      Attempts: [{ Container: { ExitCode: 0 }, StatusReason: 'Essential container in task exited' }],
    });
  });

  it('failure is States.TaskFailed with the description as its cause', async () => {
    const on = tasks();
    const thrown = await submit(on, {}).catch((reason) => reason);
    expect(thrown.error).toBe('States.TaskFailed');
    expect(JSON.parse(thrown.cause)).toMatchObject({
      Status: 'FAILED',
      Container: { ExitCode: 1 },
      RetryStrategy: { Attempts: 2 },
    });
    expect(JSON.parse(thrown.cause).Attempts).toHaveLength(2);
    expect(on.failureBehind(thrown.cause)).toEqual(new RunError('no luck'));
    expect(on.lastFailure!.message).toBe('no luck');
  });

  it.each([
    [{ JobName: 'a b' }, 'name should match'],
    [{ JobDefinition: 'other' }, 'does not exist'],
    [{ ContainerOverrides: { Environment: [{ Name: 'A', Value: 'x'.repeat(8192) }] } }, 'at most 8192'],
  ])('%j is a Batch.ClientException', async (parameters, message) => {
    await expect(submit(tasks(), parameters)).rejects.toMatchObject({
      error: 'Batch.ClientException',
      cause: expect.stringContaining(message),
    });
  });
});

describe('sagemaker:createTrainingJob.sync', () => {
  const train = (...ContainerEntrypoint: string[]) =>
    tasks().run(
      call(TRAIN, {
        TrainingJobName: 'pretrain-1',
        AlgorithmSpecification: { ContainerEntrypoint, TrainingImage: 'x', TrainingInputMode: 'File' },
        Environment: { A: '1' },
        EnableManagedSpotTraining: true,
      }),
    );

  it('completes', async () => {
    const detail = await train('process.exit(process.env.A === "1" ? 0 : 1)');
    expect(detail).toMatchObject({ TrainingJobName: 'pretrain-1', TrainingJobStatus: 'Completed' });
  });

  it('is started again when it was interrupted, where the command does so, and fails with its reason', async () => {
    const interrupted = 'process.exit(process.env.AWS_BATCH_JOB_ATTEMPT === "3" ? 0 : 75)';
    await expect(train('mates-job', interrupted)).resolves.toBeDefined();
    await expect(train('my-trainer', interrupted)).rejects.toMatchObject({ error: 'States.TaskFailed' });
    const thrown = await train("console.error('RunError: NaN'); process.exit(1)").catch((reason) => reason);
    expect(thrown.error).toBe('States.TaskFailed');
    expect(JSON.parse(thrown.cause).FailureReason).toBe('AlgorithmError: NaN, exit code: 1');
  });
});

describe('what is refused before the run begins', () => {
  it.each([
    ['arn:aws:states:::sqs:sendMessage', {}, 'sqs:sendMessage is not supported'],
    ['arn:aws:states:::lambda:invoke.waitForTaskToken', {}, 'not supported'],
    [INVOKE, { FunctionName: 'x', InvocationType: 'Event' }, 'Parameters.InvocationType'],
    [SUBMIT, { 'JobName.$': '$.x', ArrayProperties: { Size: 3 } }, 'Parameters.ArrayProperties'],
    [SUBMIT, { ContainerOverrides: { Memory: 3 } }, 'Parameters.ContainerOverrides.Memory'],
    [SUBMIT, { DependsOn: [] }, 'Parameters.DependsOn'],
    [SUBMIT, { RetryStrategy: { Attempts: 2 } }, 'Parameters.RetryStrategy'],
    [TRAIN, { HyperParameters: {} }, 'Parameters.HyperParameters'],
    [TRAIN, { InputDataConfig: [] }, 'Parameters.InputDataConfig'],
  ])('%s %j', (resource, parameters, message) => {
    expect(taskProblem(resource, parameters)).toContain(message);
  });

  it('what the pipeline uses is not', () => {
    const parameters = {
      'JobName.$': '$.x',
      JobDefinition: 'd',
      JobQueue: 'q',
      ContainerOverrides: { Environment: [] },
    };
    expect(taskProblem(SUBMIT, parameters)).toBeUndefined();
    expect(taskProblem(INVOKE, { FunctionName: 'f', 'Payload.$': '$' })).toBeUndefined();
  });
});
