import { setTimeout as delay } from 'node:timers/promises';
import { SFNClient } from '@aws-sdk/client-sfn';
import type { PricedPlan } from '../../../core/cost/price.ts';
import type { QuotaNeed } from '../../../core/cost/quotas.ts';
import { plural } from '../../../core/plural.ts';
import { consoleLinks, type RunLinks } from '../../../functions/links.ts';
import { formatCount } from '../../format.ts';
import { quotaTable } from '../../quota-table.ts';
import { withProgress } from '../../with-progress.ts';
import { failureOf, parsed } from '../execution.ts';
import { followExecution } from '../follow.ts';
import { executionArn, type Target } from '../machine.ts';

interface Options extends Target {
  json?: boolean;
}

/** Time between two polls: everything in the account shares the API's rate limits. */
const LOOK_MS = 2000;

/** `mates watch EXECUTION`: shows its progress until it ends. An interruption ends only the watching. */
export async function watch(execution: string, options: Options): Promise<void> {
  await watchExecution(new SFNClient({}), await executionArn(execution, options), options);
}

/** @throws the error that the execution failed with. */
export async function watchExecution(
  sfn: SFNClient,
  execution: string,
  { json, dashboard }: { json?: boolean; dashboard?: string },
): Promise<void> {
  await withProgress(async (view, signal) => {
    const ended = await followExecution(sfn, execution, {
      view,
      signal,
      sleep: () => delay(LOOK_MS, undefined, { signal }).catch(() => undefined),
    });
    if (ended.status !== 'SUCCEEDED') throw await failureOf(sfn, ended);
    const output = parsed(ended.output) as Output;
    const links = { ...consoleLinks({ execution, dashboard }), ...output.links };
    console.log(json ? JSON.stringify({ ...output, links }) : describeOutput(output, links));
  }, 'No longer watching: the execution goes on.');
}

/** The fields of the machine's output that are shown. */
interface Output {
  run?: { id: string; uri: string };
  plan?: PricedPlan & { quotas: QuotaNeed[] };
  links?: RunLinks;
}

const dollars = (value: number) => (value < 0.01 ? 'less than $0.01' : `$${value.toFixed(2)}`);

function describeOutput({ run, plan }: Output, links: RunLinks): string {
  const lines = [plan ? `Run ${run?.id} would be:` : `Run ${run?.id} is done: ${run?.uri}`];
  if (plan) {
    lines.push(`  ${formatCount(plan.steps)} ${plural(plan.steps, 'step')} on ${formatCount(plan.tokens)} tokens`);
    for (const { instance, hours, onDemandUsd, spotUsd } of plan.instances)
      lines.push(
        `  ${instance}: ${hours.toPrecision(2)} h, ${dollars(onDemandUsd)} on demand, ${dollars(spotUsd)} on spot`,
      );
    lines.push(quotaTable(plan.quotas));
  }
  for (const [name, link] of Object.entries(links)) lines.push(`  ${name}: ${link}`);
  return lines.join('\n');
}
