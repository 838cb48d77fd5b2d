import { REPORT_FILE } from '../core/layout.ts';
import type { Store, StoreOpener } from '../core/storage/index.ts';
import { collectReportData } from './data.ts';
import { renderReport } from './render.ts';

/**
 * Writes `report.html` into a run's folder, finished or not.
 *
 * @param open opens the corpus if it is outside the run's folder.
 * @throws InputError when the store holds no run.
 */
export async function writeReport(store: Store, open: StoreOpener): Promise<void> {
  await store.put(REPORT_FILE, renderReport(await collectReportData(open, store.uri)));
}
