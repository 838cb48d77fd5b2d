import { ConfigError } from '../../core/errors.ts';
import { REPORT_FILE, SELECT_FILE } from '../../core/layout.ts';
import { openRun } from '../../core/run/open-run.ts';
import { absolute, storeOpener } from '../../core/storage/index.ts';
import { writeReport } from '../../report/index.ts';

/** `mates report RUN..`: renders reports again, even of runs that have not finished. */
export async function report(runs: string[], options: { json?: boolean }): Promise<void> {
  const open = storeOpener();
  const reports: string[] = [];
  for (const run of runs) {
    const { store } = await openRun(open, absolute(run));
    if ((await store.size(SELECT_FILE)) !== undefined)
      throw new ConfigError(
        `${run}: the folder of a selection (mates select), where nothing was trained, so there is no report of it; mates verify and mates replay check it.`,
      );
    await writeReport(store, open);
    reports.push(`${absolute(run)}/${REPORT_FILE}`);
  }
  if (options.json) console.log(JSON.stringify(reports.length === 1 ? { report: reports[0] } : { reports }));
  else for (const path of reports) console.log(`Report: ${path}`);
}
