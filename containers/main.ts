/** Entry point of every job, on AWS and locally: `node main.js TASK`; everything else comes from the environment. */
import { JOB_VARIABLE } from '../core/deployed-names.ts';
import { ConfigError, explainSystemError, INTERRUPTED, MatesError } from '../core/errors.ts';
import type { Arm } from '../core/formats.ts';
import { printable } from '../core/printable.ts';
import { progressToStdout, WARNING } from '../core/progress.ts';
import { openRun, type Run } from '../core/run/open-run.ts';
import { changedVersions } from '../core/run/versions.ts';
import { isTransient, LAKE_DIRECTORY_VARIABLE, storeOpener } from '../core/storage/index.ts';
import type { TaskName } from '../core/tasks.ts';
import type { Job } from './job.ts';
import { hyperparameters, reportFailure } from './sagemaker.ts';

const TASKS: Record<TaskName, () => Promise<{ run(job: Job): Promise<void> }>> = {
  prepare: () => import('./prepare/index.ts'),
  'prepare-probe': () => import('./prepare-probe/index.ts'),
  probe: () => import('./probe/index.ts'),
  'fit-influence': () => import('./fit-influence/index.ts'),
  score: () => import('./score/index.ts'),
  pretrain: () => import('./pretrain/index.ts'),
  evaluate: () => import('./evaluate/index.ts'),
};

/**
 * How long a job that was told to stop may take to save its state: half of the margin that its timeout leaves
 * (DEADLINE_MARGIN_HOURS).
 */
const GRACE_MILLISECONDS = 15 * 60_000;

async function main(): Promise<void> {
  const environment: NodeJS.ProcessEnv = { ...hyperparameters(), ...process.env };
  // SageMaker's way of starting a job has no place for the task's name.
  const name = process.argv[2] ?? environment[JOB_VARIABLE.task] ?? '';
  if (!Object.hasOwn(TASKS, name))
    throw new Error(`usage: main TASK, where TASK is one of ${Object.keys(TASKS).join(', ')}`);
  const task = TASKS[name as TaskName];
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  // A job that runs into its timeout is not started again, so one that can resume stops before. Timers last at most 24
  // days.
  const hours = environment[JOB_VARIABLE.deadlineHours];
  if (hours) {
    const deadline = Math.min(Number(hours) * 3_600_000, 2 ** 31 - 1 - GRACE_MILLISECONDS);
    setTimeout(() => stop.abort(), deadline).unref();
    // A job that waits forever never looks at the signal.
    setTimeout(() => process.exit(INTERRUPTED), deadline + GRACE_MILLISECONDS).unref();
  }
  // Stops the job when its parent is gone, since it would otherwise go on alone; only the local runner opens this
  // channel.
  process.once('disconnect', () => stop.abort());

  const runUri = environment[JOB_VARIABLE.runUri];
  if (!runUri)
    throw new Error(`${JOB_VARIABLE.runUri} is not set: it names the run, such as s3://bucket/runs/quickstart`);
  const item = environment[JOB_VARIABLE.item];
  const run = await openRun(storeOpener(environment[LAKE_DIRECTORY_VARIABLE]), runUri);
  requireSameVersions(run);
  const job: Job = {
    run,
    stage: Number(environment[JOB_VARIABLE.stage] ?? 0),
    arm: (environment[JOB_VARIABLE.arm] as Arm | undefined) ?? 'main',
    item: item ? JSON.parse(item) : undefined,
    signal: stop.signal,
    progress: progressToStdout(),
    warn: (warning) => process.stderr.write(`${WARNING}${printable(warning)}\n`),
  };
  if (name === 'prepare' && environment[LAKE_DIRECTORY_VARIABLE] !== undefined) await requireEngine(run);
  await (await task()).run(job);
}

main().then(
  () => process.exit(0),
  async (error: unknown) => {
    // The run shows the last line of stderr; a stack trace helps only if the fault may be ours.
    const withoutRole = isRoleOutOfReach(error);
    const explained = withoutRole
      ? `The credentials of the job's role cannot be had: ${(error as Error).message}`
      : explainSystemError(error);
    if (!(error instanceof MatesError) && !explained) console.error(error);
    const name = error instanceof MatesError ? error.name : 'Error';
    // Only its first line may begin with the name of an error, whatever it quotes.
    const message = `${name}: ${explained ?? (error as Error).message}`.replaceAll('\n', '\n  ');
    console.error(message);
    reportFailure(message);
    // A transient error counts as interrupted, not failed: Batch tries such a job again, `jobAttempts` times in all.
    const transient = withoutRole || (await isTransient(error));
    process.exit(error instanceof MatesError ? error.exitCode : transient ? INTERRUPTED : 1);
  },
);

/**
 * The functions that plan a run and merge its scores come with the deployment, and this job with the image, which may be an
 * older one (the setting `image`).
 *
 * @throws ConfigError when the engines of both differ.
 */
function requireSameVersions({ record: { id, versions } }: Run): void {
  const [other] = changedVersions(versions);
  if (!other) return;
  throw new ConfigError(
    `run ${id} was begun with ${other.name} ${other.begun}, and this job's image has ${other.now}: deploy the image of the ` +
      'same version (the setting image), and resume the run.',
  );
}

/**
 * On one machine the engine is tried out before the corpus is prepared, while a run may still change its configuration:
 * otherwise the first training would report that it cannot be used. On AWS, preparing has no GPU.
 *
 * @throws ConfigError when the engine cannot be loaded, or finds no GPU.
 */
async function requireEngine({ record: { config } }: Run): Promise<void> {
  const { openRuntime, trainingWorkers } = await import('./model.ts');
  await openRuntime(config);
  trainingWorkers(config);
}

/** Whether the container's agent, which is asked for the role's credentials, gave none: it may be restarting. */
function isRoleOutOfReach(error: unknown): boolean {
  const agent = process.env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ?? process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  return agent !== undefined && (error as Error).name === 'CredentialsProviderError';
}
