import { BatchClient } from '@aws-sdk/client-batch';
import { ListExecutionsCommand, SFNClient } from '@aws-sdk/client-sfn';
import { plural } from '../../../core/plural.ts';
import { consoleLinks, type RunLinks } from '../../../functions/links.ts';
import { plainTable } from '../../format.ts';
import {
  causeInWords,
  describeExecution,
  describeMapRun,
  ExecutionHistory,
  parsed,
  runOf,
  stepOf,
} from '../execution.ts';
import { jobServices, liveJobs } from '../jobs.ts';
import { calling, executionArn, findDeployment, type Target, unqualified } from '../machine.ts';

interface Options extends Target {
  json?: boolean;
}

/** How many executions fit on a screen. */
const SHOWN = 15;

/** `mates status [EXECUTION]`: one screen about an execution, or the last executions of the machine. */
export async function status(execution: string | undefined, options: Options): Promise<void> {
  const sfn = new SFNClient({});
  if (execution === undefined) return listExecutions(sfn, options);
  const found = await standing(sfn, await executionArn(execution, options));
  if (options.json) return console.log(JSON.stringify(found));
  const known = rowsOf(found).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  console.log(plainTable(known));
  for (const [name, link] of Object.entries(found.links)) console.log(`${name}: ${link}`);
}

/** Where an execution stands. */
async function standing(sfn: SFNClient, arn: string) {
  const described = await describeExecution(sfn, arn);
  const events = await new ExecutionHistory(sfn, arn).next();
  const step = events.map(stepOf).findLast(Boolean);
  const mapRunArn = events.findLast((event) => event.mapRunStartedEventDetails)?.mapRunStartedEventDetails?.mapRunArn;
  const mapRun = mapRunArn && described.status === 'RUNNING' ? await describeMapRun(sfn, mapRunArn) : undefined;
  const run = runOf(described);
  const jobs = run ? await liveJobs(await jobServices(sfn, new BatchClient({}), arn, run)) : [];
  const links: RunLinks = {
    ...consoleLinks({ execution: arn }),
    ...(parsed(described.output) as { links?: RunLinks }).links,
  };
  const { name, status, startDate, stopDate, error, cause } = described;
  return { execution: arn, name, run, status, startDate, stopDate, step, error, cause, mapRun, jobs, links };
}

function rowsOf(found: Awaited<ReturnType<typeof standing>>): [string, string | undefined][] {
  const { startDate, stopDate, error, jobs } = found;
  const counts = found.mapRun?.counts;
  return [
    ['execution', found.name],
    ['run', found.run],
    ['status', found.status],
    ['started', startDate?.toLocaleString()],
    [stopDate ? 'took' : 'for', duration(startDate, stopDate)],
    ['step', found.step],
    [
      'map',
      counts &&
        `${counts.succeeded} of ${counts.total} ${plural(counts.total ?? 0, 'job')} done, ${counts.running} running, ${counts.failed} failed`,
    ],
    [
      'jobs',
      jobs.length
        ? jobs
            .map(({ name, status, reason }) => `${name}: ${status}${reason ? ` (${reason})` : ''}`)
            .slice(0, 10)
            .join('\n')
        : 'none',
    ],
    ['more jobs', jobs.length > 10 ? String(jobs.length - 10) : undefined],
    ['error', error && `${error}: ${causeInWords(found.cause)}`],
  ];
}

async function listExecutions(sfn: SFNClient, options: Options): Promise<void> {
  const { machine } = await findDeployment(options);
  const { executions = [] } = await calling('list the executions', () =>
    sfn.send(new ListExecutionsCommand({ stateMachineArn: unqualified(machine), maxResults: SHOWN })),
  );
  if (options.json)
    return console.log(
      JSON.stringify(
        executions.map(({ name, status, startDate, stopDate, executionArn }) => ({
          name,
          status,
          startDate,
          stopDate,
          execution: executionArn,
        })),
      ),
    );
  if (executions.length === 0) return console.log('No executions yet: mates start runs the smoke configuration.');
  const rows = executions.map(({ name = '', status = '', startDate, stopDate }) => [
    name,
    status,
    startDate?.toLocaleString() ?? '',
    duration(startDate, stopDate),
  ]);
  const head = ['execution', 'status', 'started', 'for'];
  console.log(plainTable(rows, head));
}

/** `3 h 05 min`; up to now if it has not ended. */
function duration(from = new Date(), to = new Date()): string {
  const seconds = Math.round((to.getTime() - from.getTime()) / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
    : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
