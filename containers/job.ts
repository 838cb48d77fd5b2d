import type { Arm, Attempt, Timing } from '../core/formats.ts';
import { stageLayout } from '../core/layout.ts';
import type { ProgressReporter } from '../core/progress.ts';
import type { Run } from '../core/run/open-run.ts';
import { attemptsBefore } from '../core/run/timings.ts';
import { putJson } from '../core/storage/index.ts';

/** What a job is told: the environment of a container, read once by `main.ts`. */
export interface Job {
  run: Run;
  stage: number;
  arm: Arm;
  /** The map item, where the state is a map. */
  item: unknown;
  /** Aborted when the machine asks the job to stop; the job then saves and throws InterruptedError. */
  signal: AbortSignal;
  progress: ProgressReporter;
  /** Tells what a user should know, in sentences; the job goes on. */
  warn(warning: string): void;
}

/** What is left of a job's work when all has been computed. */
export interface Computed {
  /** Floating-point operations that it took, as core/cost/flops.ts counts them. */
  flops: number;
  /** Writes what the next attempt takes for a job that is done; absent where nothing does. */
  finish?(): Promise<void>;
}

/**
 * Runs `work` and records how long it took, apart from the results so that those keep the same bytes, and beside it its
 * operations. The record comes before what marks the job as done: killed between the two, the job runs again, and no
 * job that is done lacks its record. Work that throws is recorded too, for the attempt that ends it: it was paid for.
 */
export async function timed(job: Job, name: string, work: () => Promise<Computed>): Promise<void> {
  const { store } = job.run;
  const layout = stageLayout(job.stage);
  const earlier = await attemptsBefore(store, job.stage, name);
  const begin = Date.now();
  const started = performance.now();
  const attempt = (): Attempt => ({ begin, seconds: Math.round((performance.now() - started) / 100) / 10 });
  const { flops, finish } = await work().catch(async (error: unknown) => {
    // Where this cannot be written, the work's own error still says more.
    await putJson(store, layout.interrupted(name), [...earlier, attempt()]).catch(() => undefined);
    throw error;
  });
  const timing: Timing = { job: name, ...attempt(), ...(earlier.length > 0 ? { earlier } : {}), flops };
  await putJson(store, layout.timing(name), timing);
  await finish?.();
}
