import { compareRuns, lastCommonStage } from '../../core/compare/compare.ts';
import type { Entry } from '../../core/compare/entries.ts';
import { InputError } from '../../core/errors.ts';
import type { RunSummary } from '../../core/formats.ts';
import { SUMMARY_FILE } from '../../core/layout.ts';
import { absolute, getRecordIfPresent, splitUri, storeOpener } from '../../core/storage/index.ts';
import { aboutStage, COMPARED, comparedRows, comparisonMarkdown, renderComparison } from '../../report/compare.ts';
import { COMPARED_TASKS, comparedTaskRows } from '../../report/compared-tasks.ts';
import { plainTable } from '../format.ts';

interface Options {
  baseline?: string;
  out?: string;
  json?: boolean;
}

/** `mates compare RUN..`: several runs side by side, by method and seed. */
export async function compare(runs: string[], options: Options): Promise<void> {
  const entries: Entry[] = [];
  for (const run of runs) {
    const [, label, path] = /^([^/=]+)=(.+)$/.exec(run) ?? [undefined, undefined, run];
    entries.push({ label, source: path, summary: await readSummary(path!) });
  }
  const comparison = compareRuns(entries, options.baseline);
  const last = lastCommonStage(comparison.courses);
  const end = Math.max(...comparison.stages.map(({ stage }) => stage));
  console.log(plainTable(comparedRows(comparison, last), COMPARED));
  const tasks = comparedTaskRows(comparison, last);
  if (tasks.length > 0) console.log(plainTable(tasks, COMPARED_TASKS));
  console.log(aboutStage(comparison, last));
  if (end > last) console.log(`Some runs end there; --out also writes the later stages of the others, up to ${end}.`);
  if (options.out !== undefined) {
    const target = storeOpener()(options.out);
    await target.put('compare.html', renderComparison(comparison));
    await target.put('compare.md', `${comparisonMarkdown(comparison)}\n`);
    console.log(`Written: ${absolute(options.out)}/compare.html and compare.md`);
  }
  if (options.json) console.log(JSON.stringify(comparison));
}

/** Reads a summary, given a run's folder or the summary file itself. */
async function readSummary(path: string): Promise<RunSummary> {
  const file = path.endsWith('.json') ? path : `${path.replace(/\/+$/, '')}/${SUMMARY_FILE}`;
  const { folder, name } = splitUri(file);
  const summary = await getRecordIfPresent<RunSummary>(storeOpener()(folder), name, 'mates-summary/1');
  if (!summary)
    throw new InputError(
      `${file}: no such file; name folders of finished runs, such as out/runs/quickstart, or LABEL=FOLDER with a label without / and =.`,
    );
  return summary;
}
