/** How long a stage's jobs took, and what they computed. */
import type { Timing } from '../formats.ts';
import { stageLayout } from '../layout.ts';
import { mapParallel } from '../parallel.ts';
import { getJson, type Store } from '../storage/index.ts';

/** Files read at once: there is one for each job, and a stage may have thousands. */
const REQUESTS = 16;

/** Of the stage's jobs that have ended. */
export async function readTimings(store: Store, stage: number): Promise<Timing[]> {
  const keys = await store.list(`${stageLayout(stage).root}/timings/`);
  return mapParallel(keys, REQUESTS, (key) => getJson<Timing>(store, key));
}

/** Seconds during which any of the jobs was at work: side by side they count once, waiting in between not at all. */
export function busySeconds(timings: readonly Timing[]): number {
  let seconds = 0;
  let end = Number.NEGATIVE_INFINITY;
  for (const timing of timings.toSorted((a, b) => a.begin - b.begin)) {
    const [from, to] = [Math.max(end, timing.begin), timing.begin + 1000 * timing.seconds];
    seconds += Math.max(0, to - from) / 1000;
    end = Math.max(end, to);
  }
  return Math.round(10 * seconds) / 10;
}
