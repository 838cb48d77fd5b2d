/**
 * Ends a run as `mates stop` must: the execution, then its Batch jobs through the API. Step Functions cancels the jobs
 * of a stopped execution by itself only as a best effort, and LocalStack not at all.
 */
import {
  BatchClient,
  DescribeJobQueuesCommand,
  DescribeJobsCommand,
  type JobSummary,
  ListJobsCommand,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import { StopExecutionCommand } from '@aws-sdk/client-sfn';
import { ended, sfn } from './support.ts';

const batch = new BatchClient({});
const ENDED = ['SUCCEEDED', 'FAILED'];

export async function stopRun(executionArn: string, run: string): Promise<void> {
  await sfn.send(new StopExecutionCommand({ executionArn, error: 'Stopped', cause: 'told to' }));
  await ended(executionArn);
  // A state that was on its way may still submit: until none is left.
  for (let open = await openJobs(run); open.length > 0; open = await openJobs(run))
    for (const { jobId } of open) await batch.send(new TerminateJobCommand({ jobId, reason: 'run stopped' }));
}

/** Jobs of the run that have not ended, by the tag that the machine gives them. */
async function openJobs(run: string): Promise<JobSummary[]> {
  const { jobQueues = [] } = await batch.send(new DescribeJobQueuesCommand({}));
  const found: JobSummary[] = [];
  for (const { jobQueueArn } of jobQueues) {
    const filters = [{ name: 'JOB_NAME', values: ['*'] }];
    const { jobSummaryList = [] } = await batch.send(new ListJobsCommand({ jobQueue: jobQueueArn, filters }));
    found.push(...jobSummaryList.filter(({ status }) => !ENDED.includes(status!)));
  }
  if (found.length === 0) return [];
  const { jobs = [] } = await batch.send(new DescribeJobsCommand({ jobs: found.map(({ jobId }) => jobId!) }));
  const tagged = new Set(jobs.filter(({ tags }) => tags?.['mates:run'] === run).map(({ jobId }) => jobId));
  return found.filter(({ jobId }) => tagged.has(jobId));
}
