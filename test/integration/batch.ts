/** Jobs of the tests' own, through the endpoint's Batch API. */
import {
  BatchClient,
  CreateComputeEnvironmentCommand,
  CreateJobQueueCommand,
  RegisterJobDefinitionCommand,
  type RetryStrategy,
} from '@aws-sdk/client-batch';
import { freshId } from './support.ts';

export const batch = new BatchClient({});

/** ARN of a new queue. */
export async function createQueue(): Promise<string> {
  const name = freshId('queue');
  const environment = new CreateComputeEnvironmentCommand({ computeEnvironmentName: name, type: 'UNMANAGED' });
  const { computeEnvironmentArn: computeEnvironment } = await batch.send(environment);
  const computeEnvironmentOrder = [{ order: 1, computeEnvironment }];
  const queue = new CreateJobQueueCommand({ jobQueueName: name, priority: 1, computeEnvironmentOrder });
  return (await batch.send(queue)).jobQueueArn!;
}

export interface Script {
  script: string;
  /** Lets the test find the job's process. */
  run?: string;
  retryStrategy?: RetryStrategy;
  timeoutSeconds?: number;
}

/** ARN of a new job definition that runs a Node script. */
export async function registerScript({ script, run = 'none', retryStrategy, timeoutSeconds }: Script): Promise<string> {
  const command = new RegisterJobDefinitionCommand({
    jobDefinitionName: freshId('script'),
    type: 'container',
    containerProperties: {
      image: 'none',
      command: ['node', '-e', script],
      environment: [{ name: 'MATES_RUN_URI', value: `s3://none/${run}` }],
    },
    retryStrategy,
    timeout: timeoutSeconds ? { attemptDurationSeconds: timeoutSeconds } : undefined,
  });
  return (await batch.send(command)).jobDefinitionArn!;
}
