import { setTimeout as delay } from 'node:timers/promises';
import { BatchClient } from '@aws-sdk/client-batch';
import { SFNClient } from '@aws-sdk/client-sfn';
import { counted } from '../../../core/plural.ts';
import { executionArn, type Target } from '../machine.ts';
import { stopRun } from '../stop-run.ts';

interface Options extends Target {
  /** Seconds. */
  timeout: number;
  json?: boolean;
}

const LOOK_MS = 1000;

/** `mates stop EXECUTION`: ends it and every job of its run, and returns when no job is left. */
export async function stop(execution: string, options: Options): Promise<void> {
  const { run, wasRunning, jobs } = await stopRun(
    new SFNClient({}),
    new BatchClient({}),
    await executionArn(execution, options),
    {
      onJob: ({ name, status }) => console.error(`  ${name}: ${status}, told to end`),
      sleep: () => delay(LOOK_MS),
      looks: Math.ceil((1000 * options.timeout) / LOOK_MS),
    },
  );
  if (options.json) return console.log(JSON.stringify({ execution, run, wasRunning, jobs }));
  console.log(
    `${wasRunning ? 'Stopped.' : 'It had ended already.'} ${counted(jobs, 'job was', 'jobs were')} told to end; none is left.`,
  );
  if (run) console.log(`What was done is kept. Go on with: mates start --resume ${run}`);
}
