/** A made-up deployment: what the AWS APIs would answer. */
import {
  BatchClient,
  DescribeJobsCommand,
  type JobStatus,
  ListJobsCommand,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import { DescribeStateMachineForExecutionCommand, type HistoryEvent, SFNClient } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { vi } from 'vitest';

process.env.AWS_REGION ??= 'us-east-1';

export const MACHINE = 'arn:aws:states:us-east-1:123456789012:stateMachine:Machine';
export const EXECUTION = 'arn:aws:states:us-east-1:123456789012:execution:Machine:run-1';
export const MAP_RUN = 'arn:aws:states:us-east-1:123456789012:mapRun:Machine/ProbeSlices:1';
export const QUEUES = [
  'arn:aws:batch:us-east-1:123456789012:job-queue/Cpu',
  'arn:aws:batch:us-east-1:123456789012:job-queue/Gpu',
];

export const sfn = mockClient(SFNClient);
export const batch = mockClient(BatchClient);

/** A job as Batch knows it; a terminated one ends after so many more listings. */
export interface FakeJob {
  id: string;
  name: string;
  run: string;
  queue?: number;
  status: JobStatus;
  lasts?: number;
}

/** Answers for Batch from these jobs, and takes note of those that are told to end. */
export function fakeBatch(jobs: FakeJob[]): string[] {
  const told: string[] = [];
  batch.on(ListJobsCommand).callsFake(({ jobQueue, jobStatus }) => {
    if (jobQueue === QUEUES[0] && jobStatus === 'SUBMITTED')
      for (const job of jobs)
        if (told.includes(job.id) && (job.lasts ?? 0) <= 0) job.status = 'FAILED';
        else if (told.includes(job.id)) job.lasts!--;
    return {
      jobSummaryList: jobs
        .filter((job) => QUEUES[job.queue ?? 1] === jobQueue && job.status === jobStatus)
        .map(({ id, name }) => ({ jobId: id, jobName: name })),
    };
  });
  batch.on(DescribeJobsCommand).callsFake(({ jobs: ids }: { jobs: string[] }) => ({
    jobs: jobs
      .filter(({ id }) => ids.includes(id))
      .map(({ id, name, run, status }) => ({ jobId: id, jobName: name, status, tags: { 'mates:run': run } })),
  }));
  batch.on(TerminateJobCommand).callsFake(({ jobId }) => {
    told.push(jobId);
    return {};
  });
  return told;
}

/** The part of a definition that names the queues, one of them inside a map. */
export function fakeDefinition(): void {
  const job = (queue: string) => ({ Type: 'Task', Parameters: { JobQueue: queue } });
  const definition = {
    States: {
      Prepare: job(QUEUES[0]!),
      Map: { Type: 'Map', ItemProcessor: { States: { Probe: job(QUEUES[1]!) } } },
      Fit: job(QUEUES[1]!),
    },
  };
  sfn.on(DescribeStateMachineForExecutionCommand).resolves({ definition: JSON.stringify(definition) });
}

export function entered(id: number, name: string, input: object, type = 'TaskStateEntered'): HistoryEvent {
  const timestamp = new Date(2026, 0, 1, 12, 0, id);
  return { id, type, timestamp, stateEnteredEventDetails: { name, input: JSON.stringify(input) } } as HistoryEvent;
}

/** What a command prints on stdout. */
export async function printed(command: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)));
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    await command();
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
  return lines.join('\n');
}
