import { MANIFEST_FILE, REPORT_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import type { RunReference } from '../../core/run/execution-input.ts';
import { requireSameInputs } from '../../core/run/inputs.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import { openRun } from '../../core/run/open-run.ts';
import { summarise } from '../../core/run/summary.ts';
import { putJson } from '../../core/storage/index.ts';
import { writeReport } from '../../report/index.ts';
import { onOneMachine, openerFromEnvironment, told } from '../environment.ts';
import { consoleLinks, type RunLinks } from '../links.ts';
import { retriable } from '../retriable.ts';
import { dashboardName } from './dashboard.ts';

interface Event {
  run: RunReference;
  /** ARN of the execution. */
  execution: string;
}

interface Answer {
  run: RunReference;
  summary: string;
  report: string;
  /** Addresses in the AWS console; none on one machine. */
  links: RunLinks;
}

/**
 * Writes the summary, the report and the manifest, and answers with links to them.
 *
 * @throws InputError when a file that the run reads has changed since the run began, or when the run has finished
 *   before and one of its files has changed since.
 */
export const handler = retriable(async ({ run: reference, execution }: Event): Promise<Answer> => {
  const run = await openRun(openerFromEnvironment(), reference.uri);
  await requireSameInputs(run);
  const manifest = await makeManifest(run);
  await putJson(run.store, SUMMARY_FILE, await summarise(run));
  await writeReport(run.store, run.open);
  await putJson(run.store, MANIFEST_FILE, manifest);
  return {
    run: reference,
    summary: `${reference.uri}/${SUMMARY_FILE}`,
    report: `${reference.uri}/${REPORT_FILE}`,
    links: onOneMachine() ? {} : await links(reference, execution),
  };
});

async function links({ bucket, prefix }: RunReference, execution: string): Promise<RunLinks> {
  const stack = told('stack');
  const dashboard = stack ? await dashboardName(stack) : undefined;
  const logs = { jobLogs: told('jobLogs'), machineLogs: told('machineLogs') };
  return consoleLinks({ execution, bucket, prefix, dashboard, ...logs });
}
