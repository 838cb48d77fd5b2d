import { InstanceType } from 'aws-cdk-lib/aws-ec2';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { IntegrationPattern, JitterType, JsonPath, type QueryLanguage } from 'aws-cdk-lib/aws-stepfunctions';
import { DockerImage, S3Location, SageMakerCreateTrainingJob } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Duration, Size, Stack } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { SAGEMAKER_HOURS } from '../../core/cost/limits.ts';
import { JOB_VARIABLE, RUN_TAG } from '../../core/deployed-names.ts';
import { SAGEMAKER_FOLDER } from '../../core/layout.ts';
import type { TaskName } from '../../core/tasks.ts';
import { COST_TAG } from '../operations/cost-guard.ts';
import type { Settings } from '../settings.ts';
import { jobEnvironment } from './pipeline-job.ts';
import { ofPipeline, PIPELINE_TAG } from './submit-job.ts';

export interface TrainOnSageMakerProps {
  /** Reference of the trainer's image. */
  imageUri: string;
  /** The role that the training job runs with; it can read and write the lake and pull the image. */
  role: IRole;
  settings: Settings;
}

/** Where SageMaker puts its own files. With the library's dynamic location, the role could write to any bucket. */
class StageLocation extends S3Location {
  bind() {
    const fields = ['$.run.uri', '$.stage', '$.arm'];
    return {
      uri: JsonPath.format(`{}/stages/{}/${SAGEMAKER_FOLDER}-{}`, ...fields.map((path) => JsonPath.stringAt(path))),
    };
  }
}

const TASK: TaskName = 'pretrain';

/**
 * How long a job may wait for spot capacity, at first and after interruptions; SageMaker limits waiting plus running
 * time.
 */
const WAIT_DAYS = 5;

/**
 * `sagemaker:createTrainingJob.sync` with what the library's state lacks: managed spot, its checkpoint URI and longest
 * wait, and the container entry point. The job keeps its own checkpoints in the run, and resumes from them when
 * SageMaker starts it again; only with a checkpoint URI does SageMaker do so. Tags restrict the machine to creating and
 * stopping training jobs of this pipeline.
 *
 * Reads `{run, stage, arm}`. The job's name ends in eight random hexadecimal digits, because a name can never be used
 * again: 48 (run) + 2 (stage) + 8 and two hyphens stay below the limit of 63.
 */
export class TrainOnSageMaker extends SageMakerCreateTrainingJob {
  private readonly maxWait: Duration;
  private readonly spot: boolean;
  private readonly command: string[];

  constructor(scope: Construct, id: string, { imageUri, role, settings }: TrainOnSageMakerProps) {
    super(scope, id, {
      integrationPattern: IntegrationPattern.RUN_JOB,
      trainingJobName: JsonPath.format(
        '{}-{}-{}',
        JsonPath.stringAt('$.run.id'),
        JsonPath.stringAt('$.stage'),
        JsonPath.arrayGetItem(JsonPath.stringSplit(JsonPath.uuid(), '-'), 0),
      ),
      role,
      algorithmSpecification: { trainingImage: DockerImage.fromRegistry(imageUri) },
      outputDataConfig: { s3OutputLocation: new StageLocation() },
      resourceConfig: {
        instanceCount: 1,
        instanceType: new InstanceType(settings.sagemakerInstanceType.replace(/^ml\./, '')),
        // Data is read from S3 as it is needed. SageMaker refuses more than a type's own disk; the smallest have 125
        // GB.
        volumeSize: Size.gibibytes(100),
      },
      stoppingCondition: { maxRuntime: Duration.hours(Math.min(SAGEMAKER_HOURS, settings.jobTimeoutHours)) },
      environment: {
        ...jobEnvironment({ stage: true, arm: true }),
        [JOB_VARIABLE.task]: TASK,
        AWS_REGION: Stack.of(scope).region,
      },
      // The app's tags are only added to resources, which a training job is not; the budget finds its cost by the tag.
      tags: {
        [PIPELINE_TAG]: Stack.of(scope).stackName,
        [COST_TAG.key]: COST_TAG.value,
        [RUN_TAG]: JsonPath.stringAt('$.run.id'),
      },
      resultSelector: {},
      resultPath: JsonPath.DISCARD,
    });
    this.restrict();
    this.spot = settings.spot;
    this.command = settings.trainerCommand;
    this.maxWait = Duration.hours(Math.min(SAGEMAKER_HOURS, settings.jobTimeoutHours + 24 * WAIT_DAYS));
    this.addRetry({
      errors: ['SageMaker.AmazonSageMakerException', 'SageMaker.ResourceLimitExceededException'],
      interval: Duration.minutes(1),
      maxAttempts: 4,
      backoffRate: 3,
      jitterStrategy: JitterType.FULL,
    });
  }

  /** Narrows the library's statement, which covers every training job of the account, whoever created it. */
  private restrict(): void {
    const all = this.taskPolicies!.findIndex(({ actions }) => actions.includes('sagemaker:CreateTrainingJob'));
    const { resources } = this.taskPolicies![all]!;
    const only = (action: string, tag: 'RequestTag' | 'ResourceTag') =>
      new PolicyStatement({
        actions: [`sagemaker:${action}`],
        resources,
        conditions: ofPipeline(Stack.of(this), tag),
      });
    this.taskPolicies!.splice(
      all,
      1,
      only('CreateTrainingJob', 'RequestTag'),
      only('StopTrainingJob', 'ResourceTag'),
      new PolicyStatement({ actions: ['sagemaker:DescribeTrainingJob'], resources }),
    );
  }

  override toStateJson(language?: QueryLanguage): object {
    const state = super.toStateJson(language) as { Parameters: Record<string, object> };
    const parameters = state.Parameters;
    parameters.AlgorithmSpecification = {
      ...parameters.AlgorithmSpecification,
      ContainerEntrypoint: this.command,
    };
    if (this.spot) {
      parameters.EnableManagedSpotTraining = true as never;
      parameters.StoppingCondition = {
        ...parameters.StoppingCondition,
        MaxWaitTimeInSeconds: this.maxWait.toSeconds(),
      };
      const { 'S3OutputPath.$': ownFiles } = parameters.OutputDataConfig as { 'S3OutputPath.$': string };
      parameters.CheckpointConfig = { 'S3Uri.$': ownFiles };
    }
    return state;
  }
}
