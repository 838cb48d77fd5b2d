/** The Batch jobs of a run that have not ended. */
import {
  type BatchClient,
  DescribeJobsCommand,
  type JobDetail,
  type JobStatus,
  ListJobsCommand,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import { DescribeStateMachineForExecutionCommand, type SFNClient } from '@aws-sdk/client-sfn';
import { calling } from './machine.ts';

/** A job is in one of these until it has ended. */
const LIVE: JobStatus[] = ['SUBMITTED', 'PENDING', 'RUNNABLE', 'STARTING', 'RUNNING'];
/** The service describes so many jobs in a call. */
const DESCRIBED = 100;

export interface LiveJob {
  id: string;
  name: string;
  status: JobStatus;
}

/** The queues that an execution submits to: those of the definition that it runs. */
export async function queuesOf(sfn: SFNClient, executionArn: string): Promise<string[]> {
  const { definition = '{}' } = await calling('read the definition', () =>
    sfn.send(new DescribeStateMachineForExecutionCommand({ executionArn })),
  );
  const queues = new Set<string>();
  JSON.parse(definition, (key, value) => {
    if (key === 'JobQueue') queues.add(value as string);
    return value;
  });
  return [...queues];
}

/** The jobs of a run in these queues, whichever execution has started them, Distributed Map children included. */
export async function liveJobs(batch: BatchClient, queues: string[], runId: string): Promise<LiveJob[]> {
  const candidates: string[] = [];
  for (const jobQueue of queues) {
    for (const jobStatus of LIVE) {
      let nextToken: string | undefined;
      do {
        const page = await calling('list the jobs', () =>
          batch.send(new ListJobsCommand({ jobQueue, jobStatus, nextToken })),
        );
        for (const { jobId, jobName } of page.jobSummaryList ?? [])
          if (jobName!.includes(`-${runId}`)) candidates.push(jobId!);
        nextToken = page.nextToken;
      } while (nextToken);
    }
  }
  const ids = [...new Set(candidates)]; // one may have moved on between two listings
  const jobs: LiveJob[] = [];
  for (let i = 0; i < ids.length; i += DESCRIBED) {
    const answer = await calling('look at the jobs', () =>
      batch.send(new DescribeJobsCommand({ jobs: ids.slice(i, i + DESCRIBED) })),
    );
    for (const job of answer.jobs ?? [])
      if (runOfJob(job) === runId && LIVE.includes(job.status!))
        jobs.push({ id: job.jobId!, name: job.jobName!, status: job.status! });
  }
  return jobs;
}

export async function terminate(batch: BatchClient, { id }: LiveJob, reason: string): Promise<void> {
  await calling('stop a job', () => batch.send(new TerminateJobCommand({ jobId: id, reason })));
}

/** A name alone could be that of the run `a-2` or of stage 2 of the run `a`. */
function runOfJob({ tags, container }: JobDetail): string | undefined {
  const uri = container?.environment?.find(({ name }) => name === 'MATES_RUN_URI')?.value;
  return tags?.['mates:run'] ?? uri?.split('/').at(-1);
}
