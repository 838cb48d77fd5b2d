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

/**
 * Runs `work` and records its duration and its operations, separately from the results so that those keep the same
 * bytes. The record is written before the file that marks the job as done. If the job is killed in between, it runs
 * again; so every finished job has its record. An attempt that throws is recorded too, for the attempt that finishes
 * the job, because it was paid for.
 */
export async function timed(job: Job, name: string, work: () => Promise<Computed>): Promise<void> {
  const { store } = job.run;
  const layout = stageLayout(job.stage);
  const earlier = await attemptsBefore(store, job.stage, name);
  const begin = Date.now();
  const started = performance.now();
  const attempt = (): Attempt => ({ begin, seconds: Math.round((performance.now() - started) / 100) / 10 });
  const { flops, finish } = await work().catch(async (error: unknown) => {
    // If this cannot be written, the work's own error still says more.
    await putJson(store, layout.interrupted(name), [...earlier, attempt()]).catch(() => undefined);
    throw error;
  });
  const timing: Timing = { job: name, ...attempt(), ...(earlier.length > 0 ? { earlier } : {}), flops };
  await putJson(store, layout.timing(name), timing);
  await finish?.();
}
