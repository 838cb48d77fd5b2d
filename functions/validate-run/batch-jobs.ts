import {
  type BatchClient,
  DescribeJobsCommand,
  type JobDetail,
  type JobStatus,
  paginateListJobs,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import { JOB_VARIABLE, RUN_TAG } from '../../core/deployed-names.ts';
import { type JobService, type LiveJob, runOfUri } from './job-service.ts';

/** The statuses of a job that has not ended. */
const LIVE: JobStatus[] = ['SUBMITTED', 'PENDING', 'RUNNABLE', 'STARTING', 'RUNNING'];
/** Most jobs that the service describes in one call. */
const DESCRIBED = 100;

/** The jobs of a run in these queues. */
export function batchJobs(batch: BatchClient, queues: string[], run: string): JobService {
  return {
    async live() {
      const ids = new Set<string>(); // a set: a job may change status between two listings
      for (const queue of queues) for (const id of await liveIn(batch, queue, run)) ids.add(id);
      const jobs: LiveJob[] = [];
      for (let rest = [...ids]; rest.length > 0; rest = rest.slice(DESCRIBED)) {
        const answer = await batch.send(new DescribeJobsCommand({ jobs: rest.slice(0, DESCRIBED) }));
        for (const job of answer.jobs ?? [])
          if (runOfJob(job) === run && LIVE.includes(job.status!))
            jobs.push({ id: job.jobId!, name: job.jobName!, status: job.status!, reason: job.statusReason });
      }
      return jobs;
    },
    async end({ id }, reason) {
      await batch.send(new TerminateJobCommand({ jobId: id, reason }));
    },
  };
}

/** Ids of the jobs of a queue that have not ended and may be the run's; none where the queue was deleted. */
async function liveIn(batch: BatchClient, jobQueue: string, run: string): Promise<string[]> {
  const ids: string[] = [];
  try {
    for (const jobStatus of LIVE)
      for await (const { jobSummaryList = [] } of paginateListJobs({ client: batch }, { jobQueue, jobStatus }))
        for (const { jobId, jobName } of jobSummaryList) if (jobName!.includes(`-${run}`)) ids.push(jobId!);
  } catch (error) {
    // A queue is deleted when a deployment no longer has it, and only once it is empty.
    const { name, message } = error as Error;
    if (name === 'ClientException' && /job ?queue.*(not found|does not exist)/i.test(message)) return [];
    throw error;
  }
  return ids;
}

/** The job's name is not enough: `a-2` could be the run `a-2` or stage 2 of the run `a`. */
function runOfJob({ tags, container }: JobDetail): string | undefined {
  const uri = container?.environment?.find(({ name }) => name === JOB_VARIABLE.runUri)?.value;
  return tags?.[RUN_TAG] ?? runOfUri(uri);
}
