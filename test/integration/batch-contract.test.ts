/** The job runner keeps Batch's promises, on which the other tests rely: through the endpoint, with the real SDK. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeJobsCommand,
  type JobDetail,
  ListJobsCommand,
  type RetryStrategy,
  SubmitJobCommand,
  TerminateJobCommand,
} from '@aws-sdk/client-batch';
import { beforeAll, describe, expect, it } from 'vitest';
import { batch, createQueue, registerScript, type Script } from './batch.ts';
import { freshId, ownRunner, processes } from './support.ts';

let jobQueue: string;

beforeAll(async () => {
  if (ownRunner) jobQueue = await createQueue();
});

/** Submits a Node script as a job. */
async function submit(script: Script): Promise<string> {
  const jobDefinition = await registerScript(script);
  return (await batch.send(new SubmitJobCommand({ jobName: freshId('job'), jobQueue, jobDefinition }))).jobId!;
}

async function until(jobId: string, ...statuses: string[]): Promise<JobDetail> {
  for (;;) {
    const { jobs = [] } = await batch.send(new DescribeJobsCommand({ jobs: [jobId] }));
    if (statuses.includes(jobs[0]!.status!)) return jobs[0]!;
    await sleep(100);
  }
}

const outcome = (jobId: string) => until(jobId, 'SUCCEEDED', 'FAILED');
const exitCodes = ({ attempts = [] }: JobDetail) => attempts.map(({ container }) => container?.exitCode);

/** As the pipeline's job definitions have it. */
const RETRY_75: RetryStrategy = {
  attempts: 3,
  evaluateOnExit: [
    { action: 'RETRY', onExitCode: '75' },
    { action: 'EXIT', onReason: '*' },
  ],
};

describe.runIf(ownRunner)('a job', () => {
  it('is tried again on the exit code that its conditions name, as often as they allow', async () => {
    const thirdTime = 'process.exit(process.env.AWS_BATCH_JOB_ATTEMPT === "3" ? 0 : 75)';
    const [late, never] = await Promise.all([
      submit({ script: thirdTime, retryStrategy: RETRY_75 }).then(outcome),
      submit({ script: 'process.exit(75)', retryStrategy: RETRY_75 }).then(outcome),
    ]);
    expect([late.status, ...exitCodes(late)]).toEqual(['SUCCEEDED', 75, 75, 0]);
    expect([never.status, ...exitCodes(never)]).toEqual(['FAILED', 75, 75, 75]);
  });

  it('is not tried again on any other', async () => {
    const job = await outcome(await submit({ script: 'process.exit(1)', retryStrategy: RETRY_75 }));
    expect([job.status, ...exitCodes(job)]).toEqual(['FAILED', 1]);
    expect(job.statusReason).toBe('Essential container in task exited');
  });

  it('is killed when an attempt takes too long, and not tried again', async () => {
    const script = 'setInterval(() => {}, 1000)';
    const job = await outcome(await submit({ script, retryStrategy: { attempts: 2 }, timeoutSeconds: 1 }));
    expect(job).toMatchObject({ status: 'FAILED', statusReason: 'Job attempt duration exceeded timeout' });
    expect(job.attempts).toHaveLength(1);
  });

  it('is asked to end when it is terminated, and killed when it does not', async () => {
    const script = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("deaf")';
    const run = freshId('deaf');
    const jobId = await submit({ script, run, retryStrategy: { attempts: 2 } });
    await expect.poll(async () => (await processes(run))[0]?.log, { timeout: 30_000 }).toEqual(['deaf']);
    await batch.send(new TerminateJobCommand({ jobId, reason: 'told to' }));
    const job = await outcome(jobId);
    expect(job).toMatchObject({ status: 'FAILED', statusReason: 'told to' });
    expect(exitCodes(job)).toEqual([137]);
  });

  it('never starts when it is terminated before', async () => {
    const running = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map(() => submit({ script: 'setTimeout(() => {}, 2000)' })),
    );
    const { jobSummaryList: waiting = [] } = await batch.send(new ListJobsCommand({ jobQueue, jobStatus: 'RUNNABLE' }));
    const { jobId } = waiting.find((one) => running.includes(one.jobId!))!;
    await batch.send(new TerminateJobCommand({ jobId, reason: 'changed my mind' }));
    const job = await outcome(jobId!);
    expect(job).toMatchObject({ status: 'FAILED', statusReason: 'changed my mind', attempts: [] });
    for (const other of running) await batch.send(new TerminateJobCommand({ jobId: other, reason: 'test is done' }));
    await Promise.all(running.map(outcome));
  });
});
