import { REPORT_FILE } from '../../core/layout.ts';
import { openRun } from '../../core/run/open-run.ts';
import { storeOpener } from '../../core/storage/index.ts';
import { writeReport } from '../../report/index.ts';
import { absolute } from '../paths.ts';

/** `mates report RUN`: renders the report again, also of a run that is still going on. */
export async function report(run: string, options: { json?: boolean }): Promise<void> {
  const open = storeOpener();
  const { store } = await openRun(open, absolute(run));
  await writeReport(store, open);
  const path = `${absolute(run)}/${REPORT_FILE}`;
  console.log(options.json ? JSON.stringify({ report: path }) : `Report: ${path}`);
}
