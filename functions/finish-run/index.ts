import { REPORT_FILE, SUMMARY_FILE } from '../../core/layout.ts';
import type { RunReference } from '../../core/run/execution-input.ts';
import { writeManifest } from '../../core/run/manifest.ts';
import { openRun } from '../../core/run/open-run.ts';
import { summarise } from '../../core/run/summary.ts';
import { putJson } from '../../core/storage/index.ts';
import { writeReport } from '../../report/index.ts';
import { openerFromEnvironment } from '../environment.ts';

interface Event {
  run: RunReference;
}

/** Writes the summary, the report and the manifest, and answers with links to them. */
export async function handler({
  run: reference,
}: Event): Promise<{ run: RunReference; summary: string; report: string }> {
  const run = await openRun(openerFromEnvironment(), reference.uri);
  await putJson(run.store, SUMMARY_FILE, await summarise(run));
  await writeReport(run.store, run.open);
  await writeManifest(run);
  return {
    run: reference,
    summary: `${reference.uri}/${SUMMARY_FILE}`,
    report: `${reference.uri}/${REPORT_FILE}`,
  };
}
