import { REPORT_FILE } from '../core/layout.ts';
import { type Store, type StoreOpener, storeOpener } from '../core/storage/index.ts';
import { collectReportData } from './data.ts';
import { renderReport } from './render.ts';

export { collectReportData, type ReportData } from './data.ts';
export { renderReport } from './render.ts';
export { closingTable } from './table.ts';

/**
 * Writes `report.html` into a run's folder, finished or not.
 *
 * @param open opens the corpus where it lies outside the run.
 * @throws InputError when the store holds no run.
 */
export async function writeReport(store: Store, open: StoreOpener = storeOpener()): Promise<void> {
  await store.put(REPORT_FILE, renderReport(await collectReportData(open, store.uri)));
}
