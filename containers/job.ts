import type { Arm, Attempt, Timing } from '../core/formats.ts';
import { stageLayout } from '../core/layout.ts';
import type { ProgressReporter } from '../core/progress.ts';
import type { Run } from '../core/run/open-run.ts';
import { attemptsBefore } from '../core/run/timings.ts';
import { putJson } from '../core/storage/index.ts';

/** A job's input: the environment of its container, which `main.ts` reads once. */
export interface Job {
  run: Run;
  stage: number;
  arm: Arm;
  /** The map item, if the state is a map. */
  item: unknown;
  /** Aborted when the machine asks the job to stop; the job then saves and throws InterruptedError. */
  signal: AbortSignal;
  progress: ProgressReporter;
  /** Warns the user, in sentences; the job goes on. */
  warn(warning: string): void;
}

/** The rest of a job's work, once everything has been computed. */
export interface Computed {
  /** Floating-point operations that the job took, as core/cost/flops.ts counts them. */
  flops: number;
  /** Writes the file by which a later attempt sees that the job is done; absent if there is none. */
  finish?(): Promise<void>;
}

/** How often a job records that it is still at work: if it is killed, no more than this is forgotten of what it cost. */
const RECORD_MINUTES = 5;

/**
 * Runs `work` and records its duration and its operations, separately from the results so that those keep the same
 * bytes. The record is written before the file that marks the job as done. If the job is killed in between, it runs
 * again; so every finished job has its record. An attempt that throws, or is killed, is recorded too, for the attempt
 * that finishes the job, because it was paid for.
 */
export async function timed(
  job: Job,
  name: string,
  work: () => Promise<Computed>,
  recordMinutes = RECORD_MINUTES,
): Promise<void> {
  const { store } = job.run;
  const layout = stageLayout(job.stage);
  const earlier = await attemptsBefore(store, job.stage, name);
  const begin = Date.now();
  const started = performance.now();
  const attempt = (): Attempt => ({ begin, seconds: Math.round((performance.now() - started) / 100) / 10 });
  // If it cannot be written, the work goes on, or its own error says more.
  const record = () => putJson(store, layout.interrupted(name), [...earlier, attempt()]).catch(() => undefined);
  let recorded = Promise.resolve();
  const recording = setInterval(() => {
    recorded = recorded.then(record);
  }, 60_000 * recordMinutes);
  const { flops, finish } = await work()
    .finally(() => clearInterval(recording))
    .catch(async (error: unknown) => {
      await recorded.then(record);
      throw error;
    });
  await recorded;
  const timing: Timing = { job: name, ...attempt(), ...(earlier.length > 0 ? { earlier } : {}), flops };
  await putJson(store, layout.timing(name), timing);
  await finish?.();
}
