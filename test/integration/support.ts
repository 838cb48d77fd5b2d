/** What the tests share: clients of the endpoint, executions, and the processes that the jobs were. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  type DescribeExecutionCommandOutput,
  GetExecutionHistoryCommand,
  type HistoryEvent,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { inject } from 'vitest';
import type { Manifest } from '../../core/formats.ts';
import { MANIFEST_FILE } from '../../core/layout.ts';
import { getJson, S3Store } from '../../core/storage/index.ts';
import type { Fault } from './localstack/job-runner/process.ts';
import type { ProcessRecord } from './localstack/job-runner/service.ts';
import { tinyRun } from './tiny-run.ts';

Object.assign(process.env, inject('environment'));
export const { machineArn, lake } = inject('deployment');
const jobRunnerUrl = inject('jobRunnerUrl');
/** Processes can be seen and disturbed only where the job runner is ours. */
export const ownRunner = jobRunnerUrl !== undefined;

export const sfn = new SFNClient({});

/** A run's id of its own, with a name that tells the test. */
export const freshId = (name: string) => `${name}-${randomUUID().slice(0, 8)}`;

/** The tiny configuration over the corpus in the lake. */
export const lakeConfig = () => tinyRun(`s3://${lake}/corpora/mini`);

/** Starts an execution whose name is the run's id. */
export async function start(input: object, name: string): Promise<string> {
  const command = new StartExecutionCommand({ stateMachineArn: machineArn, name, input: JSON.stringify(input) });
  return (await sfn.send(command)).executionArn!;
}

/** Waits for the end of an execution, whatever it is. */
export async function ended(executionArn: string): Promise<DescribeExecutionCommandOutput> {
  for (;;) {
    const execution = await sfn.send(new DescribeExecutionCommand({ executionArn }));
    if (execution.status !== 'RUNNING') return execution;
    await sleep(200);
  }
}

export async function history(executionArn: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const page = await sfn.send(new GetExecutionHistoryCommand({ executionArn, nextToken }));
    events.push(...(page.events ?? []));
    nextToken = page.nextToken;
  } while (nextToken);
  return events;
}

export const runStore = (run: string) => new S3Store(lake, `runs/${run}`);

/**
 * Hashes of every file of a run that has the same bytes whenever it is repeated; `run.json` is left out, because it
 * holds the run's id and where its corpus is.
 */
export function results(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(
    manifest.outputs.filter(({ key }) => key !== 'run.json').map(({ key, sha256 }) => [key, sha256]),
  );
}

export const resultsOf = async (run: string) => results(await getJson<Manifest>(runStore(run), MANIFEST_FILE));

/** Every process that the job runner has started for a run, in order. */
export async function processes(run: string): Promise<ProcessRecord[]> {
  const answer = await (await fetch(`${jobRunnerUrl}/_jobs`)).json();
  const all = (answer as { processes: ProcessRecord[] }).processes;
  return all.filter(({ environment }) => environment.MATES_RUN_URI?.endsWith(`/${run}`));
}

/** Waits until a process of the task runs. */
export async function running(run: string, task: string): Promise<ProcessRecord> {
  for (;;) {
    const found = (await processes(run)).find((one) => one.task === task && one.pid && !one.stoppedAt);
    if (found) return found;
    await sleep(50);
  }
}

/** Orders faults for the next attempts of a task. */
export async function disturb(run: string, task: string, ...faults: Fault[]): Promise<void> {
  const answer = await fetch(`${jobRunnerUrl}/_faults`, {
    method: 'POST',
    body: JSON.stringify({ run, task, faults }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

/** Of a run's processes, those that are still there, by asking the system. */
export async function alive(run: string): Promise<number[]> {
  return (await processes(run)).flatMap(({ pid }) => (pid !== undefined && exists(pid) ? [pid] : []));
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
