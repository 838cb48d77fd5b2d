/**
 * Jobs that an execution has left behind. If it was stopped or failed, Step Functions ends its jobs as a best effort;
 * if it timed out, nothing is promised: https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
 */
import { told } from '../environment.ts';
import type { JobService } from './job-service.ts';
import type { Look } from './lease.ts';

/**
 * Names of the run's jobs that have not ended, in the deployment's queues and, if the holder trained there, on
 * SageMaker. Jobs in a former deployment's queues ended when those were deleted.
 */
export function liveJobs(run: string): Look['liveJobs'] {
  return async ({ trainer }) => {
    const services: JobService[] = [];
    const queues = told('jobQueues')?.split(',') ?? [];
    if (queues.length > 0) {
      // Loaded on use: most runs have had no execution before.
      const [{ BatchClient }, { batchJobs }] = await Promise.all([
        import('@aws-sdk/client-batch'),
        import('./batch-jobs.ts'),
      ]);
      services.push(batchJobs(new BatchClient({}), queues, run));
    }
    const role = told('trainingRole');
    if (role !== undefined && trainer === 'sagemaker')
      services.push((await import('./training-jobs.ts')).trainingJobs(role, run));
    const found = await Promise.all(services.map((service) => service.live()));
    return found.flat().map(({ name }) => name);
  };
}
