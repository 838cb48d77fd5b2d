/**
 * Keeps two executions from working on one run, as `.lock` does for two processes on one machine. An execution that
 * begins to work on a run adds a file to its `executions/`; the newest file names the execution that holds the run.
 * Because numbered files are only ever added, taking over is as atomic as taking: of two executions that find that the
 * holder has ended, one adds the next number, and the other finds it there.
 */
import { basename } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import { EXECUTIONS_FOLDER, executionFile } from '../../core/layout.ts';
import type { ExecutionInput, RunReference } from '../../core/run/execution-input.ts';
import { getJson, type Store } from '../../core/storage/index.ts';

/** `executions/<n>.json` of a run. */
export interface ExecutionRecord {
  format: 'mates-execution/1';
  /** ARN. */
  execution: string;
  /** When it began to work on the run: ISO 8601, in UTC. */
  since: string;
  /** Absent in old records, from before it was kept. */
  trainer?: RunReference['trainer'];
  /** Absent if nothing caps the cost. */
  maxCostUsd?: number;
}

/** What an execution was started with that is not part of the run's configuration. */
export type Terms = Pick<ExecutionInput, 'trainer' | 'maxCostUsd'>;

/** What the services say about another execution that holds the run. */
export interface Look {
  /** Whether it is still running. */
  isRunning(holder: ExecutionRecord): Promise<boolean>;
  /** Names of the run's jobs that have not ended although the execution has. */
  liveJobs(holder: ExecutionRecord): Promise<string[]>;
}

/**
 * Takes the run for an execution, unless the execution already holds it.
 *
 * @param given terms that the execution was started with; the others are taken from the execution before it.
 * @returns the execution's record.
 * @throws ConfigError naming the holder and what to do, when it is still running or has left jobs behind.
 */
export async function takeRun(
  store: Store,
  execution: string,
  look: Look,
  given: Terms = {},
): Promise<ExecutionRecord> {
  for (;;) {
    const newest = (await store.list(`${EXECUTIONS_FOLDER}/`)).at(-1);
    const holder = newest === undefined ? undefined : await getJson<ExecutionRecord>(store, newest);
    if (holder) {
      if (holder.execution === execution) return holder; // a second attempt of the function
      const name = holder.execution.split(':').at(-1);
      if (await look.isRunning(holder))
        throw new ConfigError(
          `${store.uri}: the execution ${name} has been working on this run since ${holder.since}; wait for it (mates watch ${name}), ` +
            `end it first (mates stop ${name}), or give this one another runId. It is ${holder.execution}`,
        );
      // A second set of jobs would write the same files.
      const [job, ...more] = await look.liveJobs(holder);
      if (job !== undefined)
        throw new ConfigError(
          `${store.uri}: the execution ${name} has ended, but its job ${job}${more.length ? ` and ${more.length} more are` : ' is'} still there: ` +
            `end what it has left (mates stop ${name}), then start again. It is ${holder.execution}`,
        );
    }
    const number = newest === undefined ? 0 : Number.parseInt(basename(newest), 10) + 1;
    const cap = given.maxCostUsd === undefined ? holder?.maxCostUsd : given.maxCostUsd;
    const record: ExecutionRecord = {
      format: 'mates-execution/1',
      execution,
      since: new Date().toISOString(),
      trainer: given.trainer ?? holder?.trainer ?? 'batch',
      ...(cap != null && { maxCostUsd: cap }),
    };
    if (await store.putIfAbsent(executionFile(number), `${JSON.stringify(record, null, 2)}\n`)) return record;
  }
}
