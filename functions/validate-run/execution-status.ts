import { ConfigError } from '../../core/errors.ts';
import type { ExecutionRecord } from './lease.ts';

/**
 * DescribeExecution lags by some seconds and forgets after 90 days: an execution that it does not know is new or long
 * gone.
 */
const NEW_MS = 10 * 60_000;

/**
 * Whether an execution of this machine is still running.
 *
 * @throws ConfigError for an execution of another machine, which this function may not look at.
 */
export async function isRunning({ execution, since }: ExecutionRecord): Promise<boolean> {
  // Loaded on use: most runs have had no execution before.
  const { DescribeExecutionCommand, SFNClient } = await import('@aws-sdk/client-sfn');
  try {
    const { status } = await new SFNClient({}).send(new DescribeExecutionCommand({ executionArn: execution }));
    return status === 'RUNNING' || status === 'PENDING_REDRIVE';
  } catch (error) {
    const { name } = error as Error;
    if (name === 'ExecutionDoesNotExist') return Date.now() - Date.parse(since) < NEW_MS;
    if (name !== 'AccessDeniedException') throw error;
    throw new ConfigError(
      `${execution}, an execution of another state machine, has worked on this run, and this one has no permission to see whether it is still running. ` +
        "If it has ended, delete the newest file of the run's executions/ and start again.",
    );
  }
}
