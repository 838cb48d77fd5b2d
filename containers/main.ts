/** Entry point of every job: `node main.js TASK`, told the rest by its environment. The same on AWS and on one machine. */
import { JOB_VARIABLE } from '../core/deployed-names.ts';
import { explainSystemError, INTERRUPTED, MatesError } from '../core/errors.ts';
import type { Arm } from '../core/formats.ts';
import { progressToStdout, WARNING } from '../core/progress.ts';
import { openRun } from '../core/run/open-run.ts';
import { isTransient, LAKE_DIRECTORY_VARIABLE, storeOpener } from '../core/storage/index.ts';
import type { Job } from './job.ts';
import { hyperparameters, reportFailure } from './sagemaker.ts';

const TASKS: Record<string, () => Promise<{ run(job: Job): Promise<void> }>> = {
  prepare: () => import('./prepare/index.ts'),
  'prepare-probe': () => import('./prepare-probe/index.ts'),
  probe: () => import('./probe/index.ts'),
  'fit-influence': () => import('./fit-influence/index.ts'),
  score: () => import('./score/index.ts'),
  pretrain: () => import('./pretrain/index.ts'),
  evaluate: () => import('./evaluate/index.ts'),
};

/** For a job that was told to stop to save what it has; half of what its timeout leaves it (DEADLINE_MARGIN_HOURS). */
const GRACE_MILLISECONDS = 15 * 60_000;

async function main(): Promise<void> {
  const environment: NodeJS.ProcessEnv = { ...hyperparameters(), ...process.env };
  // SageMaker's own way to start a job has no place for the task's name.
  const task = TASKS[process.argv[2] ?? environment[JOB_VARIABLE.task] ?? ''];
  if (!task) throw new Error(`usage: main TASK, where TASK is one of ${Object.keys(TASKS).join(', ')}`);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  // A job that its timeout ends is not started again: one that can resume stops before it. Timers take 24 days at most.
  const hours = environment[JOB_VARIABLE.deadlineHours];
  if (hours) {
    const deadline = Math.min(Number(hours) * 3_600_000, 2 ** 31 - 1 - GRACE_MILLISECONDS);
    setTimeout(() => stop.abort(), deadline).unref();
    // One that waits for what never comes does not look at the signal.
    setTimeout(() => process.exit(INTERRUPTED), deadline + GRACE_MILLISECONDS).unref();
  }
  // A job whose parent has gone would go on alone; the channel is there only where the parent is the local runner.
  process.once('disconnect', () => stop.abort());

  const runUri = environment[JOB_VARIABLE.runUri];
  if (!runUri)
    throw new Error(`${JOB_VARIABLE.runUri} is not set: it names the run, such as s3://bucket/runs/quickstart`);
  const item = environment[JOB_VARIABLE.item];
  const job: Job = {
    run: await openRun(storeOpener(environment[LAKE_DIRECTORY_VARIABLE]), runUri),
    stage: Number(environment[JOB_VARIABLE.stage] ?? 0),
    arm: (environment[JOB_VARIABLE.arm] as Arm | undefined) ?? 'main',
    item: item ? JSON.parse(item) : undefined,
    signal: stop.signal,
    progress: progressToStdout(),
    warn: (warning) => process.stderr.write(`${WARNING}${warning}\n`),
  };
  await (await task()).run(job);
}

main().then(
  () => process.exit(0),
  async (error: unknown) => {
    // The last line of stderr is what the run shows; a stack helps only where the fault may be ours.
    const explained = explainSystemError(error);
    if (!(error instanceof MatesError) && !explained) console.error(error);
    const name = error instanceof MatesError ? error.name : 'Error';
    const message = `${name}: ${explained ?? (error as Error).message}`;
    console.error(message);
    reportFailure(message);
    // What may pass is interrupted, not failed: Batch tries such a job again, `jobAttempts` times in all.
    const status = error instanceof MatesError ? error.exitCode : (await isTransient(error)) ? INTERRUPTED : 1;
    process.exit(status);
  },
);
