import type { IJobQueue } from 'aws-cdk-lib/aws-batch';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import {
  type CfnStateMachine,
  CfnStateMachineAlias,
  CfnStateMachineVersion,
  DefinitionBody,
  LogLevel,
  StateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import {
  ArnFormat,
  type CfnElement,
  CfnOutput,
  Duration,
  RemovalPolicy,
  Stack,
  type StackProps,
} from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { DEFAULT_DEPLOYMENT, type Deployment } from '../core/cost/deployment.ts';
import { FUNCTION_VARIABLE, OUTPUT } from '../core/deployed-names.ts';
import type { TaskName } from '../core/tasks.ts';
import { type FunctionName, functionCode } from './compute/function-code.ts';
import { type JobImage, jobImage, referencedImage } from './compute/job-image.ts';
import { JobRoles } from './compute/job-roles.ts';
import { LakeAccess } from './compute/lake-access.ts';
import { Network } from './compute/network.ts';
import { PipelineFunction, type PipelineFunctionProps } from './compute/pipeline-function.ts';
import { PipelineJob } from './compute/pipeline-job.ts';
import { Queue } from './compute/queue.ts';
import { acknowledge } from './operations/acknowledge.ts';
import { Alerts } from './operations/alerts.ts';
import { CostGuard } from './operations/cost-guard.ts';
import { logGroup, machineLogGroup } from './operations/logs.ts';
import { Observability } from './operations/observability.ts';
import { Pipeline } from './pipeline.ts';
import { mapConcurrency, ownTrainer, type Settings } from './settings.ts';

export interface PipelineStackProps extends StackProps {
  lake: IBucket;
  settings: Settings;
}

/**
 * Everything that runs: network, queues, jobs, functions and the state machine. It can be destroyed and deployed again.
 */
export class PipelineStack extends Stack {
  readonly machine: StateMachine;

  constructor(scope: Construct, id: string, { lake: bucket, settings, ...props }: PipelineStackProps) {
    super(scope, id, props);
    const lake = new LakeAccess(bucket, settings);
    const image = jobImage(this, settings);
    const functions = this.functions(lake, settings);
    const trainer = settings.trainerImage ? referencedImage(this, 'TrainerRepository', settings.trainerImage) : image;
    const roles = new JobRoles(this, 'JobRoles', { lake, trainer });
    const jobLogs = logGroup(this, 'JobLogs', settings);
    const jobs = this.jobs(lake, roles, { image, trainer }, jobLogs, settings);
    const pipeline = new Pipeline(this, 'Pipeline', {
      functions,
      jobs,
      settings,
      sagemaker: { imageUri: trainer.uri, role: roles.training },
    });
    const machineLogs = machineLogGroup(this, 'MachineLogs', settings);
    this.machine = new StateMachine(this, 'Machine', {
      definitionBody: DefinitionBody.fromChainable(pipeline.definition),
      timeout: Duration.days(settings.runTimeoutDays),
      tracingEnabled: true,
      logs: { destination: machineLogs, level: LogLevel.ALL, includeExecutionData: true },
    });
    this.linkTo(functions['finish-run'], { jobLogs, machineLogs });
    this.tellDeployment(functions, settings);
    if (!trainer.forSageMaker) functions['validate-run'].addEnvironment(FUNCTION_VARIABLE.notInEcr, trainer.uri);
    const own = ownTrainer(settings);
    if (own !== undefined) functions['validate-run'].addEnvironment(FUNCTION_VARIABLE.trainer, own);
    const queues = [...new Set(Object.values(jobs).map((job) => job.queue))];
    this.showExecutionsTo(functions['validate-run']);
    this.showJobsTo(functions['validate-run'], queues, roles);
    lake.grantItems(this.machine.role);
    const alerts = new Alerts(this, 'Alerts', settings);
    const { dashboardName } = new Observability(this, 'Observability', {
      machine: this.machine,
      functions,
      queues,
      alerts,
    });
    if (settings.monthlyBudgetUsd) new CostGuard(this, 'CostGuard', { monthlyUsd: settings.monthlyBudgetUsd, alerts });
    this.acknowledgeMachine(functions, jobs);
    const start = settings.publishVersion ? this.publish() : this.machine.stateMachineArn;
    new CfnOutput(this, OUTPUT.machine, { value: start, description: 'Start executions of this' });
    new CfnOutput(this, OUTPUT.lake, { value: bucket.bucketName, description: 'Bucket of corpora and runs' });
    new CfnOutput(this, OUTPUT.dashboard, { value: dashboardName, description: 'CloudWatch dashboard' });
  }

  private functions(lake: LakeAccess, settings: Settings): Record<FunctionName, PipelineFunction> {
    const code = functionCode();
    const make = (id: string, name: FunctionName, more: Partial<PipelineFunctionProps> = {}) =>
      new PipelineFunction(this, id, { name, code, lake, settings, ...more });
    // Lambda allots CPU in proportion to memory: 1,769 MB is one vCPU. Merging streams the keys of hundreds of shards,
    // and finishing hashes every output.
    const heavy = { memorySize: 2048, timeout: Duration.minutes(15) };
    return {
      'validate-run': make('ValidateRun', 'validate-run'),
      'plan-stage': make('PlanStage', 'plan-stage'),
      'merge-top-k': make('MergeTopK', 'merge-top-k', heavy),
      'advance-stage': make('AdvanceStage', 'advance-stage'),
      'finish-run': make('FinishRun', 'finish-run', heavy),
    };
  }

  private jobs(
    lake: LakeAccess,
    roles: JobRoles,
    { image, trainer }: { image: JobImage; trainer: JobImage },
    logs: LogGroup,
    settings: Settings,
  ): Record<TaskName, PipelineJob> {
    const network = new Network(this, 'Network', { settings, lake: lake.bucket });
    const cpu = { queue: new Queue(this, 'Cpu', { network, settings, gpu: false }).jobQueue, gpus: 0 };
    const model =
      settings.accelerator === 'gpu'
        ? { queue: new Queue(this, 'Gpu', { network, settings, gpu: true }).jobQueue, gpus: 1 }
        : cpu;
    const make = (id: string, task: TaskName, where: typeof cpu & { image?: JobImage; command?: string[] }) =>
      new PipelineJob(this, id, { task, image, lake, roles, logs, settings, ...where });
    return {
      prepare: make('PrepareJob', 'prepare', cpu),
      pretrain: make('PretrainJob', 'pretrain', { ...model, image: trainer, command: settings.trainerCommand }),
      'prepare-probe': make('PrepareProbeJob', 'prepare-probe', model),
      probe: make('ProbeJob', 'probe', model),
      'fit-influence': make('FitInfluenceJob', 'fit-influence', model),
      score: make('ScoreJob', 'score', model),
      evaluate: make('EvaluateJob', 'evaluate', model),
    };
  }

  /**
   * Gives the last function what it needs to link to the logs and to the dashboard, which it finds in the stack's
   * outputs.
   */
  private linkTo(
    finish: PipelineFunction,
    { jobLogs, machineLogs }: Record<'jobLogs' | 'machineLogs', LogGroup>,
  ): void {
    finish.addEnvironment(FUNCTION_VARIABLE.jobLogs, jobLogs.logGroupName);
    finish.addEnvironment(FUNCTION_VARIABLE.machineLogs, machineLogs.logGroupName);
    finish.addEnvironment(FUNCTION_VARIABLE.stack, this.stackId);
    finish.addToRolePolicy(
      new PolicyStatement({ actions: ['cloudformation:DescribeStacks'], resources: [this.stackId] }),
    );
  }

  /** Gives the functions that estimate a run's time and cost the settings that these depend on. */
  private tellDeployment(functions: Record<FunctionName, PipelineFunction>, settings: Settings): void {
    const names = Object.keys(DEFAULT_DEPLOYMENT) as (keyof Deployment)[];
    const applied = { ...settings, mapConcurrency: mapConcurrency(settings) };
    const value = JSON.stringify(Object.fromEntries(names.map((name) => [name, applied[name]])));
    for (const name of ['validate-run', 'plan-stage'] as const)
      functions[name].addEnvironment(FUNCTION_VARIABLE.deployment, value);
  }

  /**
   * Lets the first function see whether the execution that holds a run is still running. This includes executions of
   * the stack's former machines, so that their runs can be resumed after a redeployment: CloudFormation adds a suffix
   * of its own to a machine's name.
   */
  private showExecutionsTo(validate: PipelineFunction): void {
    const resourceName = `*${this.machineId()}-*:*`;
    const arnFormat = ArnFormat.COLON_RESOURCE_NAME;
    validate.addToRolePolicy(
      new PolicyStatement({
        actions: ['states:DescribeExecution'],
        resources: [this.formatArn({ service: 'states', resource: 'execution', resourceName, arnFormat })],
      }),
    );
    acknowledge(validate.role!, {
      [`AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:${resourceName}]`]:
        'Executions are named when they start, and machines when they are created.',
    });
  }

  /** Lets the first function see whether an execution has left jobs behind. */
  private showJobsTo(validate: PipelineFunction, queues: IJobQueue[], { training }: JobRoles): void {
    validate.addEnvironment(FUNCTION_VARIABLE.jobQueues, queues.map((queue) => queue.jobQueueArn).join(','));
    validate.addEnvironment(FUNCTION_VARIABLE.trainingRole, training.roleArn);
    validate.addToRolePolicy(
      new PolicyStatement({
        actions: ['batch:ListJobs', 'batch:DescribeJobs', 'sagemaker:ListTrainingJobs'],
        resources: ['*'],
      }),
    );
    validate.addToRolePolicy(
      new PolicyStatement({
        actions: ['sagemaker:DescribeTrainingJob'],
        resources: [this.formatArn({ service: 'sagemaker', resource: 'training-job', resourceName: '*' })],
      }),
    );
    acknowledge(validate.role!, {
      'AwsSolutions-IAM5[Resource::*]':
        'Listing jobs cannot be restricted to resources; neither can sending data to X-Ray.',
      'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:sagemaker:<AWS::Region>:<AWS::AccountId>:training-job/*]':
        'Training jobs are named after runs.',
    });
  }

  private machineId(): string {
    return this.getLogicalId(this.machine.node.defaultChild as CfnElement);
  }

  /** How a cdk-nag finding names the machine's executions. */
  private executions(): string {
    return `execution:{"Fn::Select":[6,{"Fn::Split":[":",{"Ref":"${this.machineId()}"}]}]}`;
  }

  /** The wildcards that the service integrations of the machine ask for. */
  private acknowledgeMachine(
    functions: Record<FunctionName, PipelineFunction>,
    jobs: Record<TaskName, PipelineJob>,
  ): void {
    const own = 'arn:<AWS::Partition>:%:<AWS::Region>:<AWS::AccountId>';
    const resource = (service: string, rest: string) =>
      `AwsSolutions-IAM5[Resource::${own.replace('%', service)}:${rest}]`;
    const executions = this.executions();
    const mapRun = "A map's children are executions of this very machine.";
    acknowledge(this.machine, {
      'AwsSolutions-IAM5[Resource::*]':
        'batch:DescribeJobs, sagemaker:ListTags, X-Ray and log delivery cannot be restricted to resources.',
      [resource('batch', 'job/*')]: 'Job ids are not known in advance; the tag of this pipeline restricts it.',
      [resource('sagemaker', 'training-job/*')]: 'Training jobs are named after runs.',
      [resource('states', `${executions}:*`)]: mapRun,
      [resource('states', `${executions}/ProbeSlices:*`)]: mapRun,
      [resource('states', `${executions}/ScoreSlices:*`)]: mapRun,
    });
    for (const job of Object.values(jobs)) {
      const id = this.getLogicalId(job.definition.node.defaultChild as CfnElement);
      const name = `{"Fn::Select":[5,{"Fn::Split":[":",{"Ref":"${id}"}]}]}`;
      acknowledge(this.machine, { [resource('batch', `${name}:*`)]: 'Any revision of our own job definition.' });
    }
    for (const handler of Object.values(functions)) {
      const id = this.getLogicalId(handler.node.defaultChild as CfnElement);
      acknowledge(this.machine, { [`AwsSolutions-IAM5[Resource::<${id}.Arn>:*]`]: 'Any version of our own function.' });
    }
  }

  /**
   * Publishes a version for each revision, and an alias by which `mates start` starts executions: a running execution keeps
   * its definition, and moving the alias is enough to roll back those to come.
   */
  private publish(): string {
    const machine = this.machine.node.defaultChild as CfnStateMachine;
    const version = new CfnStateMachineVersion(this, 'MachineVersion', {
      stateMachineArn: machine.attrArn,
      // A changed revision replaces this resource, which is what publishes the next version.
      stateMachineRevisionId: machine.attrStateMachineRevisionId,
    });
    version.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const alias = new CfnStateMachineAlias(this, 'MachineAlias', {
      name: 'live',
      deploymentPreference: { stateMachineVersionArn: version.attrArn, type: 'ALL_AT_ONCE' },
    });
    return alias.attrArn;
  }
}
