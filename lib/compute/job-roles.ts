import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ArnFormat, Stack } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import { TRAINING_LOGS } from '../../core/deployed-names.ts';
import { acknowledge } from '../operations/acknowledge.ts';
import type { JobImage } from './job-image.ts';
import type { LakeAccess } from './lake-access.ts';

/** The roles that jobs share; the role of each Batch job's own container is in PipelineJob. */
export class JobRoles extends Construct {
  /** ECS uses it to pull images and to write to the log group that all jobs share, so one role serves them all. */
  readonly execution: IRole;
  /** The pretraining container's own role on SageMaker, which also pulls the image and writes logs with it. */
  readonly training: IRole;

  constructor(scope: Construct, id: string, { lake, trainer }: { lake: LakeAccess; trainer: JobImage }) {
    super(scope, id);
    this.execution = new Role(this, 'Execution', { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
    const training = new Role(this, 'Training', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
    this.training = training;
    lake.grant(training, 'pretrain');
    lake.grantSageMaker(training);
    trainer.grantPull(training);
    const logs = Stack.of(this).formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: `${TRAINING_LOGS}:*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    training.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resources: [logs],
      }),
    );
    training.addToPolicy(
      new PolicyStatement({
        actions: ['cloudwatch:PutMetricData'],
        resources: ['*'],
        conditions: { StringEquals: { 'cloudwatch:namespace': TRAINING_LOGS } },
      }),
    );
    const pull = 'ecr:GetAuthorizationToken has no resources and takes * only.';
    acknowledge(this.execution, { 'AwsSolutions-IAM5[Resource::*]': pull });
    acknowledge(training, {
      'AwsSolutions-IAM5[Resource::*]': `${pull} So does cloudwatch:PutMetricData, which its namespace restricts.`,
      [`AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:${TRAINING_LOGS}:*]`]:
        'SageMaker names the streams of its own log group.',
    });
  }
}
