import { describe, expect, it } from 'vitest';
import { NO_TIME_LIMITS, synthesizeMachine } from '../../lib/synthesize.ts';
import { readTemplate } from '../../local/template.ts';

const machine = (definition: unknown) => ({
  Type: 'AWS::StepFunctions::StateMachine',
  Properties: { DefinitionString: definition },
});
const resources = {
  Lake: { Type: 'AWS::S3::Bucket' },
  Queue: { Type: 'AWS::Batch::JobQueue' },
  Role: { Type: 'AWS::IAM::Role' },
  Vpc: { Type: 'AWS::EC2::VPC' },
  Plan: {
    Type: 'AWS::Lambda::Function',
    Properties: { Environment: { Variables: { MATES_FUNCTION: 'plan-stage', LAKE: { Ref: 'Lake' } } } },
  },
  Helper: { Type: 'AWS::Lambda::Function', Properties: {} },
  Version: { Type: 'AWS::Lambda::Version', Properties: { FunctionName: { Ref: 'Plan' } } },
  Job: {
    Type: 'AWS::Batch::JobDefinition',
    Properties: {
      ContainerProperties: {
        Command: ['mates-job', 'probe'],
        Environment: [{ Name: 'LAKE', Value: { 'Fn::ImportValue': 'Data:Lake' } }],
        Image: { 'Fn::Unresolvable': 1 },
      },
      RetryStrategy: { Attempts: 3, EvaluateOnExit: [{ Action: 'retry', OnExitCode: '75' }] },
      Timeout: { AttemptDurationSeconds: 60 },
    },
  },
};
const dataTemplate = {
  Resources: { Lake: { Type: 'AWS::S3::Bucket' } },
  Outputs: { LakeOut: { Value: { Ref: 'Lake' }, Export: { Name: 'Data:Lake' } } },
};
const read = (value: unknown, more: object = {}) => {
  const definition = { 'Fn::Join': ['', ['{"value":"', value, '"}']] };
  return readTemplate({ Resources: { ...resources, Machine: machine(definition), ...more } }, dataTemplate);
};
const fn = 'arn:aws:lambda:local:000000000000:function:plan-stage';

describe('readTemplate', () => {
  it.each<[string, unknown, string]>([
    ['a string', 'plain', 'plain'],
    ['pseudo parameters', { 'Fn::Join': ['/', [{ Ref: 'AWS::Partition' }, { Ref: 'AWS::Region' }]] }, 'aws/local'],
    ['a bucket', { Ref: 'Lake' }, 'lake'],
    ["a function's name", { Ref: 'Plan' }, 'plan-stage'],
    ['a version', { Ref: 'Version' }, `${fn}:1`],
    ['a role', { 'Fn::GetAtt': ['Role', 'Arn'] }, 'arn:aws:iam::000000000000:role/Role'],
    ['a queue', { 'Fn::GetAtt': ['Queue', 'JobQueueArn'] }, 'arn:aws:batch:local:000000000000:job-queue/Queue'],
    ['a job definition', { Ref: 'Job' }, 'arn:aws:batch:local:000000000000:job-definition/Job:1'],
    ['an export', { 'Fn::ImportValue': 'Data:Lake' }, 'lake'],
  ])('resolves %s', (_, value, text) => {
    expect(read(value).definition).toEqual({ value: text });
  });

  it.each<[string, unknown, string]>([
    ['an unknown intrinsic', { 'Fn::If': ['C', 'a', 'b'] }, 'Fn::If cannot be resolved'],
    ['a resource that is not there', { Ref: 'Nothing' }, 'no resource Nothing'],
    ['a type without a stand-in', { Ref: 'Vpc' }, 'Ref Vpc (AWS::EC2::VPC) cannot be resolved'],
    ['an attribute without one', { 'Fn::GetAtt': ['Lake', 'WebsiteURL'] }, 'Fn::GetAtt Lake.WebsiteURL'],
    ['a function without a folder', { Ref: 'Helper' }, 'Helper has no MATES_FUNCTION'],
    ['an export of nobody', { 'Fn::ImportValue': 'Other:Lake' }, 'no stack has the export Other:Lake'],
    ['a list for a string', [1], 'expected a string'],
  ])('refuses %s', (_, value, message) => {
    expect(() => read(value)).toThrow(message);
  });

  it('finds functions and job definitions', () => {
    const { functions, jobDefinitions } = read('');
    expect([...functions]).toEqual([
      ['plan-stage', { folder: 'plan-stage', environment: { MATES_FUNCTION: 'plan-stage', LAKE: 'lake' } }],
    ]);
    expect([...jobDefinitions.values()]).toEqual([
      {
        command: ['mates-job', 'probe'],
        environment: { LAKE: 'lake' },
        retryStrategy: { attempts: 3, evaluateOnExit: [{ action: 'RETRY', onExitCode: '75' }] },
        timeout: 60,
      },
    ]);
  });

  it('takes exactly one machine', () => {
    expect(() => readTemplate({ Resources: {} })).toThrow('one state machine, found 0');
    expect(() => read('', { Second: machine('{}') })).toThrow('found 2');
  });
});

describe('the synthesized pipeline', () => {
  const { template, dataTemplate: data } = synthesizeMachine();
  const pipeline = readTemplate(template, data);

  it('is wholly resolved', () => {
    expect([...pipeline.functions.keys()].toSorted()).toEqual(
      ['advance-stage', 'finish-run', 'merge-top-k', 'plan-stage', 'validate-run'].toSorted(),
    );
    for (const { command } of pipeline.jobDefinitions.values()) expect(command[0]).toBe('mates-job');
    expect(JSON.stringify(pipeline.definition)).not.toMatch(/\$\{|Fn::|"Ref"/);
  });

  it('limits no time where nobody pays for it by the hour', () => {
    const { template, dataTemplate: data } = synthesizeMachine(NO_TIME_LIMITS);
    const { definition, jobDefinitions } = readTemplate(template, data);
    const year = 360 * 24 * 3600;
    for (const { timeout } of jobDefinitions.values()) expect(timeout).toBeGreaterThan(year);
    const limits = [...JSON.stringify(definition).matchAll(/"TimeoutSeconds":(\d+)/g)].map(([, seconds]) =>
      Number(seconds),
    );
    expect(limits.length).toBeGreaterThan(jobDefinitions.size); // and of the whole machine
    for (const seconds of limits) expect(seconds).toBeGreaterThan(year);
  });
});
