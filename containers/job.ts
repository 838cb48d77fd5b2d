import type { Arm, Timing } from '../core/formats.ts';
import { stageLayout } from '../core/layout.ts';
import type { ProgressReporter } from '../core/progress.ts';
import type { Run } from '../core/run/open-run.ts';
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
}

/**
 * Runs `work` and records how long it took, apart from the results so that those keep the same bytes, and beside it the
 * floating-point operations that it counts.
 */
export async function timed(job: Job, name: string, work: () => Promise<number>): Promise<void> {
  const begin = Date.now();
  const started = performance.now();
  const flops = await work();
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const timing: Timing = { job: name, begin, seconds, flops };
  await putJson(job.run.store, stageLayout(job.stage).timing(name), timing);
}
