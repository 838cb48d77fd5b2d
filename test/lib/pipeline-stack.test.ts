import { describe, expect, it } from 'vitest';
import { DIFFERENT, list, normalized, resources, statements, synthesize } from './templates.ts';

const { template } = synthesize();
const other = synthesize(DIFFERENT);

const all = statements(template);
const allowing = (action: string) => all.filter(({ statement }) => list(statement.Action).includes(action));

describe('permissions', () => {
  it('let the machine stop its own jobs, which is what stops GPUs when an execution is stopped', () => {
    const [terminate] = allowing('batch:TerminateJob');
    expect(terminate!.policy).toMatch(/^MachineRole/);
    expect(terminate!.statement.Condition).toEqual({
      StringEquals: { 'aws:ResourceTag/mates:pipeline': 'MatesPipeline' },
    });
    expect(allowing('batch:DescribeJobs').map(({ policy }) => policy)).toContainEqual(
      expect.stringMatching(/^MachineRole/),
    );
    expect(allowing('batch:SubmitJob')[0]!.policy).toMatch(/^MachineRole/);
    expect(allowing('batch:TagResource')[0]!.statement.Condition).toEqual({
      StringEquals: { 'aws:RequestTag/mates:pipeline': 'MatesPipeline' },
    });
    const resourcesOf = (action: string) =>
      list(allowing(action)[0]!.statement.Resource).map((one) => JSON.stringify(one));
    expect(resourcesOf('batch:TagResource')).toEqual(expect.arrayContaining(resourcesOf('batch:SubmitJob')));
    expect(allowing('sagemaker:StopTrainingJob')[0]!.policy).toMatch(/^MachineRole/);
  });

  it('name * only for actions that take nothing else', () => {
    const unrestricted = all
      .filter(({ statement }) => list(statement.Resource).includes('*'))
      .flatMap(({ statement }) => list(statement.Action));
    expect([...new Set(unrestricted)].sort()).toEqual([
      'batch:DescribeJobs',
      'batch:ListJobs',
      'cloudwatch:PutMetricData', // restricted by its namespace
      'logs:CreateLogDelivery',
      'logs:DeleteLogDelivery',
      'logs:DescribeLogGroups',
      'logs:DescribeResourcePolicies',
      'logs:GetLogDelivery',
      'logs:ListLogDeliveries',
      'logs:PutResourcePolicy',
      'logs:UpdateLogDelivery',
      'sagemaker:ListTags',
      'sagemaker:ListTrainingJobs',
      'xray:GetSamplingRules',
      'xray:GetSamplingTargets',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ]);
    expect(allowing('cloudwatch:PutMetricData')[0]!.statement.Condition).toBeDefined();
  });

  it('have no action with a wildcard', () => {
    for (const { policy, statement } of all)
      for (const action of list(statement.Action)) expect(action, policy).not.toContain('*');
  });

  it('reach the objects of the lake and nothing of its settings', () => {
    const s3 = all.flatMap(({ statement }) => list(statement.Action)).filter((action) => action.startsWith('s3:'));
    expect([...new Set(s3)].sort()).toEqual([
      's3:AbortMultipartUpload',
      's3:DeleteObject',
      's3:GetObject',
      's3:ListBucket',
      's3:PutObject',
      's3:PutObjectTagging',
    ]);
    for (const { statement } of allowing('s3:PutObjectTagging'))
      for (const resource of list(statement.Resource))
        expect(JSON.stringify(resource)).toMatch(/\/runs\/\*\/stages\/\*\/(.+\/)?partial-checkpoint\/\*"/);
  });
});

it("the functions that estimate a run's cost are told the deployment's cap, if it has one", () => {
  const caps = (from: typeof template) =>
    resources(from, 'AWS::Lambda::Function').flatMap(({ Environment }) => {
      const { MATES_FUNCTION, MATES_DEPLOYMENT } = Environment?.Variables ?? {};
      return MATES_DEPLOYMENT ? [[MATES_FUNCTION, JSON.parse(MATES_DEPLOYMENT).maxRunCostUsd]] : [];
    });
  expect(Object.fromEntries(caps(template))).toEqual({ 'validate-run': undefined, 'plan-stage': undefined });
  expect(Object.fromEntries(caps(other.template))).toEqual({ 'validate-run': 200, 'plan-stage': 200 });
});

describe('compute environments', () => {
  const environments = resources(template, 'AWS::Batch::ComputeEnvironment').map(
    (properties) => properties.ComputeResources,
  );
  const gpu = environments.filter(({ InstanceTypes }) => InstanceTypes.includes('g5.xlarge'));

  it('are GPU and CPU, spot and on-demand', () => {
    expect(environments).toHaveLength(4);
    expect(gpu.map(({ Type }) => Type).sort()).toEqual(['EC2', 'SPOT']);
  });

  it('use GPU images with GPU instances only', () => {
    for (const environment of gpu) {
      expect(environment.Ec2Configuration).toEqual([{ ImageType: 'ECS_AL2023_NVIDIA' }]);
      expect(environment.InstanceTypes).toEqual(['g6.xlarge', 'g5.xlarge']);
    }
    for (const { InstanceTypes } of environments) expect(InstanceTypes).not.toContain('optimal');
  });

  it('scale to nothing, and follow new images and templates', () => {
    for (const environment of environments) {
      expect(environment.MinvCpus).toBe(0);
      expect(environment.DesiredvCpus).toBeUndefined();
      expect(environment.UpdateToLatestImageVersion).toBe(true);
      expect(environment.LaunchTemplate.Version).toHaveProperty('Fn::GetAtt');
      expect(environment.AllocationStrategy).toBe(
        environment.Type === 'SPOT' ? 'SPOT_PRICE_CAPACITY_OPTIMIZED' : 'BEST_FIT_PROGRESSIVE',
      );
    }
  });

  it('start instances with IMDSv2, an encrypted root volume large enough, and their NVMe mounted', () => {
    const templates = resources(template, 'AWS::EC2::LaunchTemplate').map(
      (properties) => properties.LaunchTemplateData,
    );
    expect(templates).toHaveLength(2);
    for (const data of templates) {
      expect(data.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
      const [{ Ebs }] = data.BlockDeviceMappings;
      expect(Ebs).toMatchObject({ Encrypted: true, VolumeType: 'gp3' });
      expect(Ebs.VolumeSize).toBeGreaterThanOrEqual(200);
      const userData = JSON.stringify(data.UserData);
      expect(userData).toContain('multipart/mixed');
      expect(userData).toMatch(/mkfs|base64/);
    }
  });

  it('have as large a disk, and as long an update, as the settings say and the service allows', () => {
    const large = synthesize({ rootVolumeGib: '1000', jobTimeoutHours: '300' }).template;
    for (const { LaunchTemplateData } of resources(large, 'AWS::EC2::LaunchTemplate'))
      expect(LaunchTemplateData.BlockDeviceMappings[0].Ebs.VolumeSize).toBe(1000);
    for (const { UpdatePolicy } of resources(large, 'AWS::Batch::ComputeEnvironment'))
      expect(UpdatePolicy.JobExecutionTimeoutMinutes).toBe(7200);
  });

  it('serve queues that try spot first and cancel what can never run', () => {
    const queues = resources(template, 'AWS::Batch::JobQueue');
    expect(queues).toHaveLength(2);
    for (const queue of queues) {
      expect(
        queue.ComputeEnvironmentOrder.map(({ ComputeEnvironment }: never) => JSON.stringify(ComputeEnvironment)),
      ).toEqual([expect.stringContaining('Spot'), expect.stringContaining('OnDemand')]);
      expect(queue.JobStateTimeLimitActions).toHaveLength(3);
      for (const action of queue.JobStateTimeLimitActions)
        expect(action).toMatchObject({ Action: 'CANCEL', State: 'RUNNABLE' });
    }
  });

  it('can do without spot and without GPUs', () => {
    const [only, ...more] = resources(other.template, 'AWS::Batch::ComputeEnvironment');
    expect(more).toEqual([]);
    expect(only.ComputeResources.Type).toBe('EC2');
    for (const { ContainerProperties } of resources(other.template, 'AWS::Batch::JobDefinition'))
      expect(JSON.stringify(ContainerProperties.ResourceRequirements)).not.toContain('GPU');
  });
});

describe('job definitions', () => {
  const definitions = resources(template, 'AWS::Batch::JobDefinition');

  it('are one for each folder of containers/, told by command and MATES_TASK', () => {
    expect(definitions.map(({ ContainerProperties }) => ContainerProperties.Command).sort()).toEqual(
      ['evaluate', 'fit-influence', 'prepare', 'prepare-probe', 'pretrain', 'probe', 'score'].map((task) => [
        'mates-job',
        task,
      ]),
    );
    for (const { ContainerProperties } of definitions)
      expect(ContainerProperties.Environment).toContainEqual({
        Name: 'MATES_TASK',
        Value: ContainerProperties.Command[1],
      });
  });

  it('ask for a GPU, except for preparing', () => {
    for (const { ContainerProperties } of definitions) {
      const gpu = { Type: 'GPU', Value: '1' };
      if (ContainerProperties.Command[1] === 'prepare')
        expect(ContainerProperties.ResourceRequirements).not.toContainEqual(gpu);
      else expect(ContainerProperties.ResourceRequirements).toContainEqual(gpu);
    }
  });

  it('have shared memory for loaders, half of what the job has', () => {
    for (const { ContainerProperties } of definitions)
      expect(ContainerProperties.LinuxParameters.SharedMemorySize).toBe(7168);
  });

  it('retry lost instances, failed pulls, starts and inspections, and exit code 75, and nothing else', () => {
    for (const definition of definitions)
      expect(definition.RetryStrategy).toEqual({
        Attempts: 10,
        EvaluateOnExit: [
          { Action: 'RETRY', OnStatusReason: 'Host EC2*' },
          { Action: 'RETRY', OnReason: 'Cannot*' },
          { Action: 'RETRY', OnStatusReason: 'Task failed to start*' },
          { Action: 'RETRY', OnExitCode: '75' },
          { Action: 'EXIT', OnReason: '*' },
        ],
      });
  });

  it('stop before their timeout where they can resume', () => {
    const deadlines = resources(template, 'AWS::Batch::JobDefinition').flatMap(({ ContainerProperties, Timeout }) => {
      const variable = (name: string) =>
        ContainerProperties.Environment.find((entry: { Name: string }) => entry.Name === name)?.Value;
      const hours = variable('MATES_DEADLINE_HOURS');
      return hours ? [[variable('MATES_TASK'), Timeout.AttemptDurationSeconds / 3600 - Number(hours)]] : [];
    });
    expect(Object.fromEntries(deadlines)).toEqual({
      prepare: 0.5,
      pretrain: 0.5,
      probe: 0.5,
      'fit-influence': 0.5,
      evaluate: 0.5,
    });
  });

  it('have a timeout, their logs, and revisions that outlive a deployment', () => {
    for (const definition of definitions) {
      expect(definition.Timeout.AttemptDurationSeconds).toBe(86_400);
      expect(definition.ContainerProperties.LogConfiguration.LogDriver).toBe('awslogs');
      expect(definition.ContainerProperties.Privileged).not.toBe(true);
      expect(definition.PropagateTags).toBe(true);
      expect(definition.ResourceRetentionPolicy).toEqual({ SkipDeregisterOnUpdate: true });
    }
  });
});

describe('functions', () => {
  const functions = resources(template, 'AWS::Lambda::Function');

  it('are one for each folder of functions/', () => {
    expect(functions.map(({ Environment }) => Environment.Variables.MATES_FUNCTION).sort()).toEqual([
      'advance-stage',
      'finish-run',
      'merge-top-k',
      'plan-stage',
      'validate-run',
    ]);
    for (const { Environment } of functions) expect(Environment.Variables).toHaveProperty('MATES_LAKE_BUCKET');
  });

  it('say their runtime, trace, and log to groups of their own', () => {
    for (const properties of functions)
      expect(properties).toMatchObject({
        Runtime: 'nodejs24.x',
        TracingConfig: { Mode: 'Active' },
        LoggingConfig: { LogGroup: expect.anything(), LogFormat: 'JSON' },
      });
  });
});

it('a new deployment leaves to running executions the functions and jobs that they began with', () => {
  const versions = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::Lambda::Version');
  expect(versions).toHaveLength(5);
  for (const version of versions)
    expect([version.DeletionPolicy, version.UpdateReplacePolicy]).toEqual(['Retain', 'Retain']);
  // Any version of our functions and any revision of our job definitions may be used, and no other.
  for (const resource of list(allowing('lambda:InvokeFunction')[0]!.statement.Resource))
    expect(JSON.stringify(resource)).toMatch(/"Fn::GetAtt":\["\w+","Arn"\]\},":\*"/);
  const submit = list(allowing('batch:SubmitJob')[0]!.statement.Resource).map((resource) => JSON.stringify(resource));
  expect(submit.filter((text) => text.includes('JobQueueArn'))).toHaveLength(2);
  expect(submit.filter((text) => /\["[^[]*:batch:|"Ref":"\w+JobDefinition\w+"\}.*":\*"/.test(text))).toHaveLength(7);
});

describe('operations', () => {
  it('keep logs for a bounded time and delete them with the stack', () => {
    const groups = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::Logs::LogGroup');
    expect(groups).toHaveLength(8); // five functions, jobs, machine, refused traffic
    for (const group of groups) {
      expect(group.Properties!.RetentionInDays).toBe(90);
      expect(group.DeletionPolicy).toBe('Delete');
    }
  });

  it('trace and log the machine, and start it by an alias of a version', () => {
    const [machine] = resources(template, 'AWS::StepFunctions::StateMachine');
    expect(machine.TracingConfiguration).toEqual({ Enabled: true });
    expect(machine.LoggingConfiguration).toMatchObject({ Level: 'ALL' });
    expect(machine.StateMachineType ?? 'STANDARD').toBe('STANDARD');
    const version = Object.values(template.Resources).find(({ Type }) => Type.endsWith('StateMachineVersion'))!;
    expect(version.DeletionPolicy).toBe('Retain');
    expect(version.Properties!.StateMachineRevisionId).toHaveProperty('Fn::GetAtt');
    expect(JSON.stringify(template.Outputs!.MachineArn!.Value)).toContain('Alias');
    expect(JSON.stringify(other.template.Outputs!.MachineArn!.Value)).not.toContain('Alias');
  });

  it('report failed runs and jobs', () => {
    const alarms = resources(template, 'AWS::CloudWatch::Alarm');
    expect(alarms.map(({ MetricName }) => MetricName)).toContain('ExecutionsFailed');
    for (const alarm of alarms) {
      expect(alarm.AlarmActions).toHaveLength(1);
      expect(alarm.AlarmDescription).toMatch(/\.$/);
      expect(alarm.TreatMissingData).toBe('notBreaching');
    }
    const [rule] = resources(template, 'AWS::Events::Rule');
    expect(rule.EventPattern.detail).toMatchObject({ status: ['FAILED'] });
    expect(rule.EventPattern.detail.jobQueue).toHaveLength(2);
    expect(resources(template, 'AWS::CloudWatch::Dashboard')).toHaveLength(1);
  });

  it('have a budget when asked to', () => {
    expect(resources(template, 'AWS::Budgets::Budget')).toEqual([]);
    const [{ Budget, NotificationsWithSubscribers }] = resources(other.template, 'AWS::Budgets::Budget');
    expect(Budget.BudgetLimit).toEqual({ Amount: 250, Unit: 'USD' });
    expect(NotificationsWithSubscribers).toHaveLength(2);
    expect(resources(other.template, 'AWS::SNS::Subscription')).toHaveLength(1);
    // The budget sees nothing until this tag is activated.
    expect(other.template.Outputs!.BudgetTag).toMatchObject({
      Value: Budget.CostFilters.TagKeyValue[0].replace(/^user:|\$.*$/g, ''),
      Description: expect.stringContaining('activated'),
    });
    expect(template.Outputs).not.toHaveProperty('BudgetTag');
  });
});

it('takes alarms from this account alone', () => {
  const [policy, ...others] = resources(template, 'AWS::SNS::TopicPolicy');
  expect(others).toEqual([]);
  for (const { Effect, Condition } of policy.PolicyDocument.Statement)
    if (Effect === 'Allow') expect(Condition.StringEquals).toHaveProperty('aws:SourceAccount');
  expect(allowing('sns:Publish').length).toBeGreaterThan(0);
  for (const { Targets } of resources(template, 'AWS::Events::Rule'))
    for (const { Arn, RoleArn } of Targets) if (Arn.Ref?.startsWith('Alerts')) expect(RoleArn).toBeDefined();
});

it('tells the last function what to link to', () => {
  const variables = resources(template, 'AWS::Lambda::Function').map(({ Environment }) => Environment?.Variables ?? {});
  const finish = variables.find(({ MATES_FUNCTION }) => MATES_FUNCTION === 'finish-run');
  expect(finish).toHaveProperty('MATES_JOB_LOGS.Ref');
  expect(finish).toHaveProperty('MATES_MACHINE_LOGS.Ref');
  // The dashboard shows the function, so its name comes from the stack's outputs, of this stack alone.
  expect(finish).toHaveProperty('MATES_STACK', { Ref: 'AWS::StackId' });
  expect(allowing('cloudformation:DescribeStacks').map(({ statement }) => statement.Resource)).toEqual([
    { Ref: 'AWS::StackId' },
  ]);
  expect(template.Outputs).toHaveProperty('DashboardName');
});

/** The property that would name a resource for ever, by type. */
const NAMES: Record<string, string> = {
  'AWS::Batch::ComputeEnvironment': 'ComputeEnvironmentName',
  'AWS::Batch::JobDefinition': 'JobDefinitionName',
  'AWS::Batch::JobQueue': 'JobQueueName',
  'AWS::CloudWatch::Alarm': 'AlarmName',
  'AWS::CloudWatch::Dashboard': 'DashboardName',
  'AWS::EC2::LaunchTemplate': 'LaunchTemplateName',
  'AWS::Events::Rule': 'Name',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::StepFunctions::StateMachine': 'StateMachineName',
};

it('has no physical names but those of its own stack, so that two pipelines fit in an account', () => {
  for (const [type, name] of Object.entries(NAMES)) {
    expect(resources(template, type), type).not.toEqual([]);
    const given = resources(template, type).map((properties) => JSON.stringify(properties[name]));
    expect(
      given.filter((value) => value !== undefined && !value.includes('AWS::StackId')),
      `${type}.${name}`,
    ).toEqual([]);
  }
});

it('has no intrinsic that emulators lack', () => {
  expect(JSON.stringify(template)).not.toContain('Fn::GetStackOutput');
});

it('is what was reviewed', () => {
  expect(normalized(template)).toMatchSnapshot();
});
