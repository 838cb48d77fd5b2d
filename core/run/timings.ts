/** How long a stage's jobs took, and what they computed. */
import type { Attempt, Timing } from '../formats.ts';
import { INTERRUPTED_SUFFIX, stageLayout } from '../layout.ts';
import { mapParallel } from '../parallel.ts';
import { getJson, getJsonIfPresent, type Store } from '../storage/index.ts';
import { TASKS, type TaskName } from '../tasks.ts';

/** Files read at once: there is one for each job, and a stage may have thousands. */
const REQUESTS = 32;

/** The timings of the stage's jobs that have ended. */
export async function readTimings(store: Store, stage: number): Promise<Timing[]> {
  const keys = await store.list(stageLayout(stage).timings);
  const ended = keys.filter((key) => !key.endsWith(INTERRUPTED_SUFFIX));
  return mapParallel(ended, REQUESTS, (key) => getJson<Timing>(store, key));
}

/**
 * When a job that now begins was at work before. A job that had ended may run again because its last file was missing.
 */
export async function attemptsBefore(store: Store, stage: number, job: string): Promise<Attempt[]> {
  const layout = stageLayout(stage);
  const ended = await getJsonIfPresent<Timing>(store, layout.timing(job));
  const begun = (await getJsonIfPresent<Attempt[]>(store, layout.interrupted(job))) ?? [];
  return longer(ended ? attemptsOf(ended) : [], begun);
}

/** Seconds for which each of the stage's jobs has been at work so far, whether it has ended or not, by its name. */
export async function secondsByJob(store: Store, stage: number): Promise<Map<string, number>> {
  const { timings } = stageLayout(stage);
  const keys = await store.list(timings);
  const found = await mapParallel(keys, REQUESTS, async (key) =>
    key.endsWith(INTERRUPTED_SUFFIX) ? getJson<Attempt[]>(store, key) : attemptsOf(await getJson<Timing>(store, key)),
  );
  const byJob = new Map<string, Attempt[]>();
  for (const [i, key] of keys.entries()) {
    const job = key.slice(timings.length).replace(/(\.interrupted)?\.json$/, '');
    byJob.set(job, longer(found[i]!, byJob.get(job) ?? []));
  }
  return new Map([...byJob].map(([job, attempts]) => [job, total(attempts)]));
}

/**
 * Of a job's two records the one that tells more, as a job that had ended may run again. With as many attempts, that of the
 * last one may have been written while it went on.
 */
const longer = (a: Attempt[], b: Attempt[]) =>
  a.length > b.length || (a.length === b.length && total(a) >= total(b)) ? a : b;

/** The kind of a job. The timing of preparing the corpus is among the first stage's. */
export function taskOf(job: string): TaskName | undefined {
  const task = job.replace(/-(\d+|main|control)$/, '');
  return TASKS.find((name) => name === task);
}

function attemptsOf({ begin, seconds, earlier = [] }: Timing): Attempt[] {
  return [...earlier, { begin, seconds }];
}

/** How long a job was at work in all its attempts. */
export function secondsAtWork(timing: Timing): number {
  return total(attemptsOf(timing));
}

const total = (attempts: Attempt[]) => toTenths(attempts.reduce((sum, { seconds }) => sum + seconds, 0));

/** Seconds during which any of the jobs was at work: side by side they count once, waiting in between not at all. */
export function busySeconds(timings: readonly Timing[]): number {
  let seconds = 0;
  let end = Number.NEGATIVE_INFINITY;
  const attempts = timings.flatMap(attemptsOf).sort((a, b) => a.begin - b.begin);
  for (const attempt of attempts) {
    const [from, to] = [Math.max(end, attempt.begin), attempt.begin + 1000 * attempt.seconds];
    seconds += Math.max(0, to - from) / 1000;
    end = Math.max(end, to);
  }
  return toTenths(seconds);
}

const toTenths = (seconds: number) => Math.round(10 * seconds) / 10;
