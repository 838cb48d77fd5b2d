import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { QueryLanguage } from 'aws-cdk-lib/aws-stepfunctions';
import { BatchSubmitJob, type BatchSubmitJobProps } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { ArnFormat, type Duration, Fn, Stack } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';

/** Marks the jobs of one pipeline; the machine may terminate no others. */
export const PIPELINE_TAG = 'mates:pipeline';

/** The condition that a request, or the resource that it is about, has the stack's {@link PIPELINE_TAG}. */
export const ofPipeline = ({ stackName }: Stack, tag: 'RequestTag' | 'ResourceTag') => ({
  StringEquals: { [`aws:${tag}/${PIPELINE_TAG}`]: stackName },
});

export interface SubmitJobProps extends Omit<BatchSubmitJobProps, 'attempts' | 'taskTimeout'> {
  /** Limit for the whole state, including queueing and every attempt; the job may run on until `mates stop` ends it. */
  stateTimeout: Duration;
}

/**
 * `batch:submitJob.sync` with what the library's state lacks: the permissions by which a stopped execution stops its
 * jobs (without them GPUs would run on), a timeout for the state, and tags. `attempts` stays unset, because it would
 * replace the retry conditions of the definition.
 */
export class SubmitJob extends BatchSubmitJob {
  private readonly stateTimeout: Duration;

  constructor(scope: Construct, id: string, { stateTimeout, ...props }: SubmitJobProps) {
    const stack = Stack.of(scope);
    super(scope, id, { ...props, tags: { [PIPELINE_TAG]: stack.stackName, ...props.tags } });
    this.stateTimeout = stateTimeout;
    const jobs = stack.formatArn({ service: 'batch', resource: 'job', resourceName: '*' });
    // The library's policy would let the machine run every job definition of the account.
    const submit = this.taskPolicies!.findIndex(({ actions }) => actions.includes('batch:SubmitJob'));
    const submitted = [props.jobQueueArn, anyRevision(stack, props.jobDefinitionArn)];
    this.taskPolicies![submit] = new PolicyStatement({ actions: ['batch:SubmitJob'], resources: submitted });
    this.taskPolicies!.push(
      // Describing jobs cannot be restricted to some of them.
      new PolicyStatement({ actions: ['batch:DescribeJobs'], resources: ['*'] }),
      new PolicyStatement({
        actions: ['batch:TerminateJob'],
        resources: [jobs],
        conditions: ofPipeline(stack, 'ResourceTag'),
      }),
      // The job has no ARN yet when it is submitted with tags: Batch asks for this on what it is submitted with.
      new PolicyStatement({
        actions: ['batch:TagResource'],
        resources: [...submitted, jobs],
        conditions: ofPipeline(stack, 'RequestTag'),
      }),
    );
  }

  override toStateJson(language?: QueryLanguage): object {
    return { ...super.toStateJson(language), TimeoutSeconds: this.stateTimeout.toSeconds() };
  }
}

/** The job definition in any revision, because a running execution may name an earlier one. */
function anyRevision(stack: Stack, jobDefinitionArn: string): string {
  const definition = Fn.select(5, Fn.split(':', jobDefinitionArn)); // job-definition/<name>
  return stack.formatArn({ service: 'batch', resource: `${definition}:*`, arnFormat: ArnFormat.NO_RESOURCE_NAME });
}
