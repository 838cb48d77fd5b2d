/**
 * Small machines that, together, use every field, resource, intrinsic and context path of the pipeline's definition:
 * what `mates run` and Step Functions must agree on.
 */
import { expect } from 'vitest';
import type { Json, JsonObject } from '../../local/asl/types.ts';

/** ARNs and names that the definitions refer to. */
export interface Parts {
  /** `advance-stage`: gives back its `run`, adds one to `stage` and tells whether there are `more`. */
  advance: string;
  /** `validate-run`, which refuses any input that it does not know with a ConfigError. */
  validate: string;
  jobQueue: string;
  /** Job definitions whose processes succeed, fail and take four seconds. */
  good: string;
  bad: string;
  slow: string;
  /** Bucket and key of the JSON array `[0, 1, 2]`. */
  bucket: string;
  key: string;
}

export interface SmallMachine {
  name: string;
  definition: JsonObject;
  input?: Json;
  /** What the States Language says comes of it; without a cause where that is a text for people. */
  expected: { output: unknown } | { error: string; cause?: unknown };
}

const LAMBDA = 'arn:aws:states:::lambda:invoke';
const BATCH = 'arn:aws:states:::batch:submitJob.sync';
const SAGEMAKER = 'arn:aws:states:::sagemaker:createTrainingJob.sync';

/** A machine that starts with a state, which ends it unless the state says how it goes on. */
function machine(first: JsonObject, others: JsonObject = {}): JsonObject {
  const goesOn = 'Next' in first || first.Type === 'Choice' || first.Type === 'Fail';
  return { StartAt: 'First', States: { First: goesOn ? first : { ...first, End: true }, ...others } };
}

/** The processor of a map; no two states of a definition may share a name. */
const item = (only: JsonObject): JsonObject => ({ StartAt: 'Item', States: { Item: { ...only, End: true } } });

/** Hands a caught error on, as "Run failed" does. */
const CATCH = [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'Failed' }];
const FAILED = { Failed: { Type: 'Fail', ErrorPath: '$.error.Error', CausePath: '$.error.Cause' } };

const refused = { errorType: 'ConfigError', errorMessage: expect.stringContaining('nonsense: unknown field') };

export function smallMachines({ advance, validate, jobQueue, good, bad, slow, bucket, key }: Parts): SmallMachine[] {
  const call = (FunctionName: string, Payload: JsonObject) => ({
    Type: 'Task',
    Resource: LAMBDA,
    Parameters: { FunctionName, Payload },
  });
  const next = call(advance, { 'run.$': '$.run', stage: 1, stages: 3 });
  const refusing = call(validate, { input: { nonsense: 1 }, executionName: 'x' });
  const job = (JobDefinition: string, more: JsonObject = {}) => ({
    Type: 'Task',
    Resource: BATCH,
    Parameters: {
      JobDefinition,
      JobQueue: jobQueue,
      'JobName.$': "States.Format('job-{}-{}', $.run, 1)",
      ContainerOverrides: { Environment: [{ Name: 'WHO', 'Value.$': '$.run' }] },
      Tags: { 'mates:run.$': '$.run' },
      ...more,
    },
  });
  const training = (code: number) => ({
    Type: 'Task',
    Resource: SAGEMAKER,
    Parameters: {
      'TrainingJobName.$':
        "States.Format('{}-{}', $.run, States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 0))",
      RoleArn: 'arn:aws:iam::000000000000:role/any',
      AlgorithmSpecification: {
        TrainingInputMode: 'File',
        TrainingImage: 'none',
        ContainerEntrypoint: ['node'],
        ContainerArguments: ['-e', `process.exit(${code})`],
      },
      OutputDataConfig: { S3OutputPath: `s3://${bucket}/none` },
      ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.g5.xlarge', VolumeSizeInGB: 1 },
      StoppingCondition: { MaxRuntimeInSeconds: 60 },
      Environment: { 'WHO.$': '$.run' },
    },
  });
  const inlineMap = (processor: JsonObject) => ({
    Type: 'Map',
    ItemsPath: '$.arms',
    ItemSelector: { 'run.$': '$$.Map.Item.Value.arm' },
    MaxConcurrency: 2,
    ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...processor },
  });
  const distributedMap = (processor: JsonObject) => ({
    Type: 'Map',
    Label: 'Slices',
    MaxConcurrency: 2,
    ItemReader: {
      Resource: 'arn:aws:states:::s3:getObject',
      ReaderConfig: { InputType: 'JSON' },
      Parameters: { 'Bucket.$': '$.bucket', 'Key.$': '$.key' },
    },
    ItemSelector: { 'run.$': "States.Format('{}-{}', $.run, States.JsonToString($$.Map.Item.Value))" },
    ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' }, ...processor },
  });
  const onS3 = { run: 'a', bucket, key };
  const arms = { arms: [{ arm: 'main' }, { arm: 'control' }] };
  const answer = { stage: 2, stages: 3, more: true };

  return [
    {
      name: "OutputPath takes the payload out of a function's answer",
      definition: machine({ ...next, OutputPath: '$.Payload' }),
      input: { run: { id: 'a' } },
      expected: { output: { run: { id: 'a' }, ...answer } },
    },
    {
      name: 'ResultSelector and ResultPath add part of an answer to the state',
      definition: machine({ ...next, ResultSelector: { 'more.$': '$.Payload.more' }, ResultPath: '$.plan' }),
      input: { run: 'a', kept: [1, null, 'x'] },
      expected: { output: { run: 'a', kept: [1, null, 'x'], plan: { more: true } } },
    },
    {
      name: 'a null ResultPath leaves the state as it was',
      definition: machine({ ...next, ResultPath: null, Next: 'Done' }, { Done: { Type: 'Succeed' } }),
      input: { run: 'a' },
      expected: { output: { run: 'a' } },
    },
    {
      name: "the context object tells the execution's name and id",
      definition: machine({
        ...call(advance, {
          run: {
            'name.$': '$$.Execution.Name',
            'id.$': "States.ArrayGetItem(States.StringSplit($$.Execution.Id, ':'), 7)",
            'all.$': '$',
          },
          stage: 1,
          stages: 3,
        }),
        ResultSelector: { 'all.$': '$.Payload.run.all' },
      }),
      input: { x: 1 },
      expected: { output: { all: { x: 1 } } },
    },
    {
      name: "a function's error has its name, and its message in the cause",
      definition: machine(refusing),
      expected: { error: 'ConfigError', cause: refused },
    },
    {
      name: 'Catch puts error and cause where ErrorPath and CausePath find them',
      definition: machine({ ...refusing, Catch: CATCH, Next: 'Failed' }, FAILED),
      input: { run: 'a' },
      expected: { error: 'ConfigError', cause: refused },
    },
    {
      name: 'Retry gives up after its attempts',
      definition: machine({
        ...refusing,
        Retry: [
          {
            ErrorEquals: ['Other', 'ConfigError'],
            IntervalSeconds: 1,
            MaxAttempts: 2,
            BackoffRate: 2,
            MaxDelaySeconds: 2,
            JitterStrategy: 'FULL',
          },
        ],
      }),
      expected: { error: 'ConfigError', cause: refused },
    },
    {
      name: 'Fail formats its cause',
      definition: machine({
        Type: 'Fail',
        Error: 'CostCapReached',
        CausePath: "States.Format('Stage {} of run {}', $.stage, $.run.id)",
      }),
      input: { stage: 2, run: { id: 'a' } },
      expected: { error: 'CostCapReached', cause: 'Stage 2 of run a' },
    },
    choice({ trainer: 'sagemaker' }, 'There'),
    choice({ trainer: 'batch', more: true }, 'Here'),
    choice({ trainer: 'batch', more: false }, 'Else'),
    {
      name: 'a Batch job ends with its description',
      definition: machine({
        ...job(good),
        TimeoutSeconds: 600,
        ResultSelector: { 'name.$': '$.JobName', 'status.$': '$.Status', 'code.$': '$.Container.ExitCode' },
      }),
      input: { run: 'a' },
      expected: { output: { name: 'job-a-1', status: 'SUCCEEDED', code: 0 } },
    },
    {
      name: 'an empty ResultSelector is an empty result',
      definition: machine({ ...job(good), ResultSelector: {} }),
      input: { run: 'a' },
      expected: { output: {} },
    },
    {
      name: 'a Batch job that fails is States.TaskFailed, with its description as the cause',
      definition: machine({ ...job(bad), Catch: CATCH, Next: 'Failed' }, FAILED),
      input: { run: 'a' },
      expected: { error: 'States.TaskFailed', cause: { JobName: 'job-a-1', Status: 'FAILED', ExitCode: 3 } },
    },
    {
      name: 'a job that may not be submitted is an error of Batch',
      definition: machine(job(good)),
      input: { run: 'not a name' },
      expected: { error: 'Batch.ClientException' },
    },
    {
      name: 'TimeoutSeconds of a state',
      definition: machine({ ...job(slow), TimeoutSeconds: 1 }),
      input: { run: 'a' },
      expected: { error: 'States.Timeout' },
    },
    {
      name: 'TimeoutSeconds of the machine',
      definition: { ...machine({ ...job(slow) }), TimeoutSeconds: 1 },
      input: { run: 'a' },
      expected: { error: 'States.Timeout' },
    },
    {
      name: 'a SageMaker training job',
      definition: machine({
        ...training(0),
        ResultSelector: { 'status.$': '$.TrainingJobStatus' },
        ResultPath: '$.job',
      }),
      input: { run: 'a' },
      expected: { output: { run: 'a', job: { status: 'Completed' } } },
    },
    {
      name: 'a SageMaker training job that fails',
      definition: machine(training(4)),
      input: { run: 'a' },
      expected: { error: 'States.TaskFailed', cause: { TrainingJobStatus: 'Failed' } },
    },
    {
      name: 'an inline Map keeps the order of its items',
      definition: machine(inlineMap(item({ ...next, OutputPath: '$.Payload' }))),
      input: arms,
      expected: {
        output: [
          { run: 'main', ...answer },
          { run: 'control', ...answer },
        ],
      },
    },
    {
      name: "an inline Map fails with its item's error",
      definition: machine({ ...inlineMap(item(refusing)), ResultPath: null, Catch: CATCH, Next: 'Failed' }, FAILED),
      input: arms,
      expected: { error: 'ConfigError', cause: refused },
    },
    {
      name: 'a Distributed Map reads its items from S3',
      definition: machine(distributedMap(item({ ...next, OutputPath: '$.Payload' }))),
      input: onS3,
      expected: { output: ['a-0', 'a-1', 'a-2'].map((run) => ({ run, ...answer })) },
    },
    {
      name: 'a Distributed Map fails when an item does',
      definition: machine({ ...distributedMap(item(job(bad))), Catch: CATCH, Next: 'Failed' }, FAILED),
      input: onS3,
      expected: { error: 'States.ExceedToleratedFailureThreshold' },
    },
    {
      name: 'a Distributed Map whose items cannot be read is tried again, and fails',
      definition: machine({
        ...distributedMap(item({ ...next, OutputPath: '$.Payload' })),
        Retry: [{ ErrorEquals: ['States.ItemReaderFailed'], IntervalSeconds: 1, MaxAttempts: 1 }],
      }),
      input: { ...onS3, key: `${key}.not-an-array` },
      expected: { error: 'States.ItemReaderFailed' },
    },
  ];
}

/** Which way is told by the error it ends in. */
function choice(input: Json, error: string): SmallMachine {
  const ends = ['There', 'Here', 'Else'].map((name) => [name, { Type: 'Fail', Error: name }]);
  const rules: JsonObject = {
    Type: 'Choice',
    Choices: [
      { Variable: '$.trainer', StringEquals: 'sagemaker', Next: 'There' },
      { Variable: '$.more', BooleanEquals: true, Next: 'Here' },
    ],
    Default: 'Else',
  };
  const definition = machine(rules, Object.fromEntries(ends));
  return { name: `Choice of ${JSON.stringify(input)}`, definition, input, expected: { error } };
}
