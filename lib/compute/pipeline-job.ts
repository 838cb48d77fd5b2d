import type { IJobQueue } from 'aws-cdk-lib/aws-batch';
import {
  Action,
  EcsEc2ContainerDefinition,
  EcsJobDefinition,
  EcsVolume,
  LinuxParameters,
  Reason,
  RetryStrategy,
} from 'aws-cdk-lib/aws-batch';
import { LogDriver } from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { JitterType, JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import { Duration, Size, Stack } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import { DEADLINE_MARGIN_HOURS, RESUMED_TASKS } from '../../core/cost/limits.ts';
import { JOB_VARIABLE, RUN_TAG } from '../../core/deployed-names.ts';
import { INTERRUPTED } from '../../core/errors.ts';
import type { TaskName } from '../../core/tasks.ts';
import type { Settings } from '../settings.ts';
import type { JobImage } from './job-image.ts';
import type { JobRoles } from './job-roles.ts';
import type { LakeAccess } from './lake-access.ts';
import { SCRATCH } from './queue.ts';
import { SubmitJob } from './submit-job.ts';

export interface PipelineJobProps {
  task: TaskName;
  /** @default mates-job <task> */
  command?: string[];
  image: JobImage;
  queue: IJobQueue;
  /** GPUs of one job. */
  gpus: number;
  lake: LakeAccess;
  roles: JobRoles;
  logs: ILogGroup;
  settings: Settings;
}

export interface SubmitProps {
  /** @default - not in a stage */
  stage?: boolean;
  /** @default - not in an arm */
  arm?: boolean;
  /** Whether the job gets the state's map item, as MATES_ITEM. @default - no item */
  item?: boolean;
}

/**
 * A Batch job of the pipeline: a command, `mates-job <task>` by default, whose inputs are environment variables, and a
 * role that allows what the task does.
 */
export class PipelineJob extends Construct {
  readonly definition: EcsJobDefinition;
  readonly queue: IJobQueue;
  private readonly props: PipelineJobProps;

  constructor(scope: Construct, id: string, props: PipelineJobProps) {
    super(scope, id);
    this.props = props;
    this.queue = props.queue;
    const { settings } = props;
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
    props.lake.grant(role, props.task);
    const container = new EcsEc2ContainerDefinition(this, 'Container', {
      image: props.image.container,
      command: props.command ?? ['mates-job', props.task],
      environment: {
        [JOB_VARIABLE.task]: props.task,
        AWS_REGION: Stack.of(this).region,
        // Batch does not retry an attempt that timed out; tasks that can resume stop by themselves before, with exit
        // code 75.
        ...(RESUMED_TASKS.includes(props.task) && {
          [JOB_VARIABLE.deadlineHours]: String(settings.jobTimeoutHours - DEADLINE_MARGIN_HOURS),
        }),
      },
      cpu: settings.jobVcpus,
      memory: Size.mebibytes(settings.jobMemoryMib),
      gpu: props.gpus || undefined,
      jobRole: role,
      executionRole: props.roles.execution,
      // Docker's 64 MiB are too few for a trainer whose data loaders pass batches through shared memory. This is only a
      // limit, and counts towards the job's own memory.
      linuxParameters: new LinuxParameters(this, 'Linux', {
        sharedMemorySize: Size.mebibytes(Math.floor(settings.jobMemoryMib / 2)),
      }),
      logging: LogDriver.awsLogs({ logGroup: props.logs, streamPrefix: props.task }),
      volumes: [EcsVolume.host({ name: 'scratch', hostPath: SCRATCH, containerPath: '/tmp' })],
    });
    this.definition = new EcsJobDefinition(this, 'Definition', {
      container,
      // For one attempt; each attempt resumes from what the one before has written.
      timeout: Duration.hours(settings.jobTimeoutHours),
      retryAttempts: settings.jobAttempts,
      retryStrategies: [
        RetryStrategy.of(Action.RETRY, Reason.SPOT_INSTANCE_RECLAIMED),
        // CannotPullContainerError, and CannotInspectContainerError, which the agent may report even if the container
        // ended well.
        RetryStrategy.of(Action.RETRY, Reason.custom({ onReason: 'Cannot*' })),
        // A host that is busy pulling 8 GB may take too long to start a container.
        RetryStrategy.of(Action.RETRY, Reason.custom({ onStatusReason: 'Task failed to start*' })),
        // 75: interrupted, what was done is kept (core/errors.ts).
        RetryStrategy.of(Action.RETRY, Reason.custom({ onExitCode: String(INTERRUPTED) })),
        // Without this, a failure that matches no condition is retried as well.
        RetryStrategy.of(Action.EXIT, Reason.custom({ onReason: '*' })),
      ],
      propagateTags: true,
      // A running execution refers to this revision, which must outlive the next deployment.
      skipDeregisterOnUpdate: true,
    });
  }

  /**
   * A Task state that runs the job and waits for it. It reads `$.run`, and `$.stage`, `$.arm` and `$.item` if asked to.
   * Its result is an empty object, so that ten thousand children of a map return only 30 kB.
   */
  submit(scope: Construct, id: string, { stage, arm, item }: SubmitProps = {}): SubmitJob {
    const { task, queue, settings } = this.props;
    const name = [JsonPath.stringAt('$.run.id')];
    if (stage) name.push(JsonPath.stringAt('$.stage'));
    if (arm) name.push(JsonPath.stringAt('$.arm'));
    const state = new SubmitJob(scope, id, {
      jobName: JsonPath.format([task, ...name.map(() => '{}')].join('-'), ...name),
      jobDefinitionArn: this.definition.jobDefinitionArn,
      jobQueueArn: queue.jobQueueArn,
      containerOverrides: { environment: jobEnvironment({ stage, arm, item }) },
      tags: { [RUN_TAG]: JsonPath.stringAt('$.run.id') },
      stateTimeout: stateTimeout(settings),
      resultSelector: {},
      resultPath: item ? undefined : JsonPath.DISCARD,
    });
    // All errors of Batch's API except `Batch.ClientException`, an error in the request itself: throttling, above 50
    // submissions a second in an account, has no name of its own. Retries are few and far between, an hour and a half in all,
    // because each takes three of the 25,000 events of the history. That is enough for a run of 100 stages even if
    // every task needs all its retries (test/lib/limits.test.ts).
    state.addRetry({
      errors: [
        'Batch.AWSBatchException',
        'Batch.BatchException',
        'Batch.ServerException',
        'Batch.TooManyRequestsException',
      ],
      interval: Duration.minutes(1),
      maxAttempts: 4,
      backoffRate: 5,
      maxDelay: Duration.hours(1),
      jitterStrategy: JitterType.FULL,
    });
    return state;
  }
}

/**
 * Time that a job may take with all its attempts, each with its wait for capacity; in any case less than the machine's
 * own timeout, which no Catch can handle.
 */
function stateTimeout({ jobAttempts, jobTimeoutHours, capacityTimeoutHours, runTimeoutDays }: Settings): Duration {
  const attempts = jobAttempts * (jobTimeoutHours + capacityTimeoutHours);
  return Duration.hours(Math.min(attempts, 24 * runTimeoutDays - 1));
}

/** The environment variables with a job's inputs, taken from the state. */
export function jobEnvironment({ stage, arm, item }: SubmitProps): Record<string, string> {
  return {
    [JOB_VARIABLE.runUri]: JsonPath.stringAt('$.run.uri'),
    ...(stage && { [JOB_VARIABLE.stage]: JsonPath.format('{}', JsonPath.stringAt('$.stage')) }),
    ...(arm && { [JOB_VARIABLE.arm]: JsonPath.stringAt('$.arm') }),
    ...(item && { [JOB_VARIABLE.item]: JsonPath.jsonToString(JsonPath.objectAt('$.item')) }),
  };
}
