import type { DescribeExecutionOutput, SFNClient } from '@aws-sdk/client-sfn';
import { InterruptedError, throwIfStopped } from '../../core/errors.ts';
import { WARNING } from '../../core/progress.ts';
import { isTransient } from '../../core/storage/index.ts';
import type { ProgressView } from '../progress-view.ts';
import { describeExecution, describeMapRun, ExecutionHistory, parsed, stepOf } from './execution.ts';

export interface FollowOptions {
  view: Pick<ProgressView, 'heading' | 'notice' | 'update'>;
  /** Ends only the watching. */
  signal: AbortSignal;
  /** Waits between two polls. */
  sleep(): Promise<unknown>;
}

/** For how long AWS may be out of reach before the watching ends. */
const PATIENCE_MILLISECONDS = 15 * 60_000;

const MAP_ENDED = new Set<string>(['MapRunSucceeded', 'MapRunFailed', 'MapRunAborted']);

/**
 * Shows an execution's steps as it enters them, the warnings of its first state, and how many jobs of each map are
 * done, until the execution ends.
 *
 * @throws InterruptedError when the signal is aborted, or when the execution could be seen and no longer can; it goes on.
 */
export async function followExecution(
  sfn: SFNClient,
  executionArn: string,
  { view, signal, sleep }: FollowOptions,
): Promise<DescribeExecutionOutput> {
  const history = new ExecutionHistory(sfn, executionArn);
  let map = '';
  /** Whether the first state has ended; its output has the warnings. */
  let checked = false;
  let open: { arn: string; name: string } | undefined;
  const showMap = async () => {
    if (!open) return;
    const { counts } = await describeMapRun(sfn, open.arn);
    const { total = 0, succeeded = 0, failed = 0, running = 0 } = counts ?? {};
    const note = `${running} running${failed ? `, ${failed} failed` : ''}`;
    if (total) view.update(open.arn, { step: open.name, done: succeeded, total, unit: 'jobs', note });
  };
  const look = async () => {
    // Described before its events are read, so that none is missed when it has ended.
    const execution = await describeExecution(sfn, executionArn);
    for (const event of await history.next()) {
      const step = stepOf(event);
      if (step) view.heading(`${clock(event.timestamp)} ${step}`);
      if (!checked && event.stateExitedEventDetails) {
        checked = true;
        const { warnings = [] } = parsed(event.stateExitedEventDetails.output) as { warnings?: string[] };
        for (const warning of warnings) view.notice(`${WARNING}${warning}`);
      }
      if (event.type === 'MapStateEntered') map = event.stateEnteredEventDetails?.name ?? '';
      if (event.mapRunStartedEventDetails) open = { arn: event.mapRunStartedEventDetails.mapRunArn!, name: map };
      if (open && MAP_ENDED.has(event.type ?? '')) {
        await showMap();
        open = undefined;
      }
    }
    await showMap();
    return execution;
  };
  let seen: number | undefined;
  let isOutOfReach = false;
  for (;;) {
    try {
      const execution = await look();
      if (execution.status !== 'RUNNING') return execution;
      seen = Date.now();
      isOutOfReach = false;
    } catch (error) {
      if (seen === undefined) throw error;
      const { message, cause } = error as Error;
      if (!(await isTransient(cause)) || Date.now() - seen > PATIENCE_MILLISECONDS)
        throw new InterruptedError(`${message} ${NO_LONGER_WATCHING}`);
      if (!isOutOfReach)
        view.notice(`${WARNING}${message} It is tried for a quarter of an hour; the execution goes on.`);
      isOutOfReach = true;
    }
    throwIfStopped(signal, NO_LONGER_WATCHING);
    await sleep();
  }
}

const NO_LONGER_WATCHING = 'No longer watching; the execution goes on. mates stop ends it, mates watch shows it.';

const clock = (time = new Date()) => time.toTimeString().slice(0, 8);
