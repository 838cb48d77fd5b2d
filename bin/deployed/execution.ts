/** One execution: what it is, what has happened in it, and why it failed. */
import {
  DescribeExecutionCommand,
  type DescribeExecutionOutput,
  DescribeMapRunCommand,
  type HistoryEvent,
  type MapRunItemCounts,
  type MapRunListItem,
  paginateGetExecutionHistory,
  paginateListExecutions,
  paginateListMapRuns,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import { TRAINING_LOGS } from '../../core/deployed-names.ts';
import { errorNamed, InterruptedError, type MatesError, RunError } from '../../core/errors.ts';
import { parseExecutionInput, runIdOf } from '../../core/run/execution-input.ts';
import { calling } from './machine.ts';

export function describeExecution(sfn: SFNClient, executionArn: string): Promise<DescribeExecutionOutput> {
  return calling('look at the execution', () => sfn.send(new DescribeExecutionCommand({ executionArn })));
}

/** The run that an execution works on; undefined for an input that the machine itself refuses. */
export function runOf({ input, name }: DescribeExecutionOutput): string | undefined {
  try {
    return runIdOf(parseExecutionInput(JSON.parse(input ?? '{}')), name ?? '');
  } catch {
    return undefined;
  }
}

/** Name of a running execution that works on a run, if there is one whose ARN is not `self`. */
export function runningExecution(
  sfn: SFNClient,
  machine: string,
  run: string,
  self?: string,
): Promise<string | undefined> {
  return calling('list the executions', async () => {
    const pages = paginateListExecutions({ client: sfn }, { stateMachineArn: machine, statusFilter: 'RUNNING' });
    for await (const { executions = [] } of pages)
      for (const { executionArn, name } of executions)
        if (executionArn !== self && runOf(await describeExecution(sfn, executionArn!)) === run) return name;
    return undefined;
  });
}

/** Reads an execution's history as it grows: from the newest event back to the last one seen. */
export class ExecutionHistory {
  private readonly sfn: SFNClient;
  private readonly executionArn: string;
  private seen = 0;

  constructor(sfn: SFNClient, executionArn: string) {
    this.sfn = sfn;
    this.executionArn = executionArn;
  }

  /** The events since the last call, in order. */
  async next(): Promise<HistoryEvent[]> {
    const { sfn, executionArn } = this;
    const fresh: HistoryEvent[] = [];
    await calling('read the history', async () => {
      const newestFirst = { executionArn, reverseOrder: true, maxResults: 200 };
      for await (const { events = [] } of paginateGetExecutionHistory({ client: sfn }, newestFirst)) {
        const unseen = events.filter(({ id }) => id! > this.seen);
        fresh.push(...unseen);
        if (unseen.length < events.length) break;
      }
    });
    fresh.sort((a, b) => a.id! - b.id!);
    this.seen = fresh.at(-1)?.id ?? this.seen;
    return fresh;
  }
}

/** The step that an event enters, such as `Stage 1: Pretrain (control)`; undefined for any other event. */
export function stepOf({ type, stateEnteredEventDetails }: HistoryEvent): string | undefined {
  if ((type !== 'TaskStateEntered' && type !== 'MapStateEntered') || !stateEnteredEventDetails) return undefined;
  const input = parsed(stateEnteredEventDetails.input) as { stage?: number; stages?: number; arm?: string };
  const { stage = 0, stages = Number.POSITIVE_INFINITY, arm } = input;
  // After the last stage the counter is past the end.
  const where = input.stage === undefined || stage >= stages ? '' : `Stage ${stage}: `;
  return `${where}${stateEnteredEventDetails.name}${arm === undefined ? '' : ` (${arm})`}`;
}

export interface MapRun {
  arn: string;
  status: string;
  counts?: MapRunItemCounts;
}

export async function describeMapRun(sfn: SFNClient, mapRunArn: string): Promise<MapRun> {
  const { status, itemCounts } = await calling('look at the map', () =>
    sfn.send(new DescribeMapRunCommand({ mapRunArn })),
  );
  return { arn: mapRunArn, status: status!, counts: itemCounts };
}

/** ARNs of the Map Runs of an execution, the newest first. */
export async function listMapRuns(sfn: SFNClient, executionArn: string): Promise<string[]> {
  const found: MapRunListItem[] = [];
  await calling('list the maps', async () => {
    for await (const { mapRuns = [] } of paginateListMapRuns({ client: sfn }, { executionArn })) found.push(...mapRuns);
  });
  return found.sort((a, b) => b.startDate!.getTime() - a.startDate!.getTime()).map(({ mapRunArn }) => mapRunArn!);
}

/** How LocalStack fails to list the children of a Map Run: it can only list the executions of a machine. */
const UNABLE = ['InternalError', 'InternalFailure', 'InvalidArn', 'ValidationException'];

/** ARNs of a Map Run's children with this status; none if the endpoint cannot list them. */
export async function listChildren(sfn: SFNClient, mapRunArn: string, status: 'RUNNING' | 'FAILED'): Promise<string[]> {
  const arns: string[] = [];
  await calling('list the children of a map', async () => {
    const input = { mapRunArn, statusFilter: status, maxResults: 1000 };
    try {
      for await (const { executions = [] } of paginateListExecutions({ client: sfn }, input))
        arns.push(...executions.map(({ executionArn }) => executionArn!));
    } catch (error) {
      if (!UNABLE.includes((error as Error).name)) throw error;
    }
  });
  return arns;
}

/** Why an execution did not succeed, as the error with which `mates run` would have ended. */
export async function failureOf(sfn: SFNClient, execution: DescribeExecutionOutput): Promise<MatesError> {
  const { status, executionArn, error, cause } = execution;
  if (status === 'ABORTED')
    return new InterruptedError(
      `The execution was stopped; what was done is kept. Go on with: mates start --resume ${runOf(execution)}`,
    );
  if (status === 'TIMED_OUT')
    return new RunError(
      `The execution took longer than runTimeoutDays. End the jobs that it may have left: mates stop ${executionArn?.split(':').at(-1)}. ` +
        `Then go on with: mates start --resume ${runOf(execution)}`,
    );
  if (error === 'States.ExceedToleratedFailureThreshold') {
    const [failed] = await listMapRuns(sfn, executionArn!);
    const [child] = failed ? await listChildren(sfn, failed, 'FAILED') : [];
    if (child) return failureOf(sfn, await describeExecution(sfn, child));
  }
  const words = causeInWords(cause);
  return errorNamed(error, words, `${error ?? 'Failed'}: ${words}`);
}

/** The message in a Cause: a function's error or a job's description in words; anything else is returned as it is. */
export function causeInWords(cause = 'no cause was given'): string {
  const { errorMessage, TrainingJobName, FailureReason, JobName, StatusReason, Container } = parsed(cause) as {
    errorMessage?: string;
    TrainingJobName?: string;
    FailureReason?: string;
    JobName?: string;
    StatusReason?: string;
    Container?: { ExitCode?: number; LogStreamName?: string };
  };
  if (errorMessage !== undefined) return errorMessage;
  if (TrainingJobName !== undefined)
    return (
      `the training job ${TrainingJobName} failed: ${FailureReason ?? 'SageMaker gives no reason'}. ` +
      `Its log stream begins with its name, in the log group ${TRAINING_LOGS}`
    );
  if (JobName === undefined) return cause;
  const { ExitCode, LogStreamName } = Container ?? {};
  return (
    `the job ${JobName} failed${ExitCode === undefined ? '' : ` with exit code ${ExitCode}`}: ${StatusReason}.` +
    (LogStreamName ? ` Its log stream: ${LogStreamName}` : '')
  );
}

/** The JSON object in a text; an empty one if the text is not a JSON object. */
export function parsed(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
