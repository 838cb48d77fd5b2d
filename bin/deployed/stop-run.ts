import type { BatchClient } from '@aws-sdk/client-batch';
import { type SFNClient, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { ConfigError, RunError } from '../../core/errors.ts';
import { counted } from '../../core/plural.ts';
import type { LiveJob } from '../../functions/validate-run/job-service.ts';
import { describeExecution, listChildren, listMapRuns, runningExecution, runOf } from './execution.ts';
import { jobServices, liveJobs } from './jobs.ts';
import { calling, machineOf } from './machine.ts';

const REASON = 'Stopped by mates stop';

export interface StopOptions {
  onJob?(job: LiveJob): void;
  /** Waits between two polls. */
  sleep(): Promise<unknown>;
  /** Number of polls after which it gives up waiting for the jobs to end. */
  looks: number;
}

export interface Stopped {
  run: string | undefined;
  /** Whether the execution was running; jobs that it left behind are ended either way. */
  wasRunning: boolean;
  /** Jobs that were told to end. */
  jobs: number;
}

/**
 * Stops an execution, the children of its maps and every job of its run, on Batch and on SageMaker, and waits until no
 * job is left. Step Functions stops children and jobs too, but one by one and only as a best effort; this makes sure.
 *
 * @throws ConfigError when another execution works on the run, because the jobs are then its own; RunError naming the
 *   jobs that are still there after the last poll.
 */
export async function stopRun(
  sfn: SFNClient,
  batch: BatchClient,
  executionArn: string,
  { onJob, sleep, looks }: StopOptions,
): Promise<Stopped> {
  const execution = await describeExecution(sfn, executionArn);
  const run = runOf(execution);
  const wasRunning = execution.status === 'RUNNING';
  if (wasRunning) await stop(sfn, executionArn);
  if (run === undefined) return { run, wasRunning, jobs: 0 }; // refused before any job
  const other = await runningExecution(sfn, machineOf(executionArn), run, executionArn);
  if (other !== undefined)
    throw new ConfigError(
      `run ${run}: the execution ${other} is working on it, and the run's jobs are now its own; mates stop ${other} ends them.`,
    );
  const services = await jobServices(sfn, batch, executionArn, run);
  const told = new Set<string>();
  let clean = 0;
  for (let look = 0; look < looks; look++) {
    // Children first: once stopped, they submit nothing after the jobs are listed.
    let left = 0;
    const [newest] = await listMapRuns(sfn, executionArn); // only one map runs at a time
    for (const child of newest ? await listChildren(sfn, newest, 'RUNNING') : []) {
      left++;
      await stop(sfn, child).catch(() => undefined); // it may have ended by itself
    }
    for (const service of services) {
      const jobs = await service.live();
      left += jobs.length;
      for (const job of jobs) {
        if (told.has(job.id)) continue;
        told.add(job.id);
        onJob?.(job);
        await service.end(job, REASON);
      }
    }
    // Twice, because a job just submitted may not be listed yet.
    clean = left === 0 ? clean + 1 : 0;
    if (clean === 2) return { run, wasRunning, jobs: told.size };
    await sleep();
  }
  const left = (await liveJobs(services)).map(({ name, id }) => (name === id ? name : `${name} (${id})`));
  throw new RunError(
    `Told ${counted(told.size, 'job')} of run ${run} to end; still there: ${left.join(', ') || 'children of its maps'}. ` +
      'Give the same command again, or look at them in the Batch and SageMaker consoles.',
  );
}

async function stop(sfn: SFNClient, executionArn: string): Promise<void> {
  const command = new StopExecutionCommand({ executionArn, error: 'Stopped', cause: REASON });
  await calling('stop the execution', () => sfn.send(command));
}
