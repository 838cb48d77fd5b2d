/** A made-up deployment: what the AWS APIs would answer. */
import {
  BatchClient,
  DescribeJobsCommand,
  type JobStatus,
  ListJobsCommand,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import {
  DescribeTrainingJobCommand,
  ListTrainingJobsCommand,
  SageMakerClient,
  StopTrainingJobCommand,
  type TrainingJobStatus,
} from '@aws-sdk/client-sagemaker';
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
export const sagemaker = mockClient(SageMakerClient);

export const TRAINING_ROLE = 'arn:aws:iam::123456789012:role/Training';

/** A job as Batch knows it; a terminated one ends after so many more listings. */
export interface FakeJob {
  id: string;
  name: string;
  run: string;
  queue?: number;
  status: JobStatus;
  reason?: string;
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
      .map(({ id, name, run, status, reason }) => ({
        jobId: id,
        jobName: name,
        status,
        statusReason: reason,
        tags: { 'mates:run': run },
      })),
  }));
  batch.on(TerminateJobCommand).callsFake(({ jobId }) => {
    told.push(jobId);
    return {};
  });
  return told;
}

/** A training job as SageMaker knows it; one that is told to stop does so after so many more listings. */
export interface FakeTrainingJob {
  name: string;
  /** URI of its run. */
  run: string;
  role?: string;
  status: TrainingJobStatus;
  lasts?: number;
}

/** Answers for SageMaker from these jobs, two a page, and takes note of those that are told to end. */
export function fakeSageMaker(jobs: FakeTrainingJob[]): string[] {
  const told: string[] = [];
  sagemaker.on(ListTrainingJobsCommand).callsFake(({ NameContains, StatusEquals, NextToken = '0' }) => {
    if (StatusEquals === 'InProgress' && NextToken === '0')
      for (const job of jobs) if (job.status === 'Stopping' && job.lasts!-- <= 0) job.status = 'Stopped';
    const found = jobs.filter(({ name, status }) => name.includes(NameContains) && status === StatusEquals);
    const next = Number(NextToken) + 2;
    return {
      TrainingJobSummaries: found.slice(next - 2, next).map(({ name }) => ({ TrainingJobName: name })),
      NextToken: next < found.length ? String(next) : undefined,
    };
  });
  sagemaker.on(DescribeTrainingJobCommand).callsFake(({ TrainingJobName }) => {
    const { run, role = TRAINING_ROLE, status } = jobs.find(({ name }) => name === TrainingJobName)!;
    return { TrainingJobStatus: status, RoleArn: role, Environment: { MATES_RUN_URI: run } };
  });
  sagemaker.on(StopTrainingJobCommand).callsFake(({ TrainingJobName }) => {
    const job = jobs.find(({ name }) => name === TrainingJobName)!;
    if (job.status !== 'InProgress')
      throw Object.assign(new Error(`The training job is ${job.status}.`), { name: 'ValidationException' });
    told.push(TrainingJobName);
    Object.assign(job, { status: 'Stopping', lasts: job.lasts ?? 0 });
    return {};
  });
  return told;
}

/** The part of a definition that names the queues, one of them inside a map, and the training jobs' role. */
export function fakeDefinition(): void {
  const job = (queue: string) => ({ Type: 'Task', Parameters: { JobQueue: queue } });
  const definition = {
    States: {
      Prepare: job(QUEUES[0]!),
      Map: { Type: 'Map', ItemProcessor: { States: { Probe: job(QUEUES[1]!) } } },
      Fit: job(QUEUES[1]!),
      Train: { Type: 'Task', Parameters: { TrainingJobName: 'x', RoleArn: TRAINING_ROLE } },
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
