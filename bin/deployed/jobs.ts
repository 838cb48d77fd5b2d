import type { BatchClient } from '@aws-sdk/client-batch';
import { DescribeStateMachineForExecutionCommand, type SFNClient } from '@aws-sdk/client-sfn';
import { batchJobs } from '../../functions/validate-run/batch-jobs.ts';
import type { JobService, LiveJob } from '../../functions/validate-run/job-service.ts';
import { trainingJobs } from '../../functions/validate-run/training-jobs.ts';
import { calling } from './machine.ts';

/**
 * The services that run a run's jobs. The queues and the training role come from the definition that its execution
 * uses.
 */
export async function jobServices(
  sfn: SFNClient,
  batch: BatchClient,
  executionArn: string,
  run: string,
): Promise<JobService[]> {
  const { definition = '{}' } = await calling('read the definition', () =>
    sfn.send(new DescribeStateMachineForExecutionCommand({ executionArn })),
  );
  const queues = new Set<string>();
  const trainingRoles = new Set<string>();
  JSON.parse(definition, (key, value) => {
    if (key === 'JobQueue') queues.add(value);
    if (key === 'RoleArn') trainingRoles.add(value);
    return value;
  });
  return [batchJobs(batch, [...queues], run), ...[...trainingRoles].map((role) => trainingJobs(role, run))].map(
    inWords,
  );
}

/** The service, with errors in words for a terminal in place of the SDK's. */
function inWords(service: JobService): JobService {
  return {
    live: () => calling('look at the jobs', () => service.live()),
    end: (job, reason) => calling(`stop ${job.name}`, () => service.end(job, reason)),
  };
}

export async function liveJobs(services: JobService[]): Promise<LiveJob[]> {
  return (await Promise.all(services.map((service) => service.live()))).flat();
}
