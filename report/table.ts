import Table from 'cli-table3';
import pc from 'picocolors';
import type { RunSummary } from '../core/formats.ts';
import { correlation, count, duration, interval, loss, lossDifference, NOTHING } from './format.ts';

/** The table a run ends with on a terminal: one row a stage, losses in nats per token, no final newline. */
export function closingTable(summary: RunSummary, { color }: { color: boolean }): string {
  const paint = pc.createColors(color);
  const compared = summary.stages.some(({ control }) => control);
  const table = new Table({
    head: [
      'stage',
      'reference loss',
      ...(compared ? ['control', 'difference'] : []),
      'Spearman [interval]',
      'rows selected',
      'time',
    ].map((name) => paint.bold(name)),
    colAligns: Array.from({ length: compared ? 7 : 5 }, () => 'right' as const),
    style: { head: [], border: [], compact: true },
  });
  for (const { stage, main, control, spearman, spearmanInterval, selectedRows, poolRows, seconds } of summary.stages) {
    const difference = control && main.referenceLoss - control.referenceLoss;
    const comparison = control
      ? [loss(control.referenceLoss), (difference! < 0 ? paint.green : paint.yellow)(lossDifference(difference!))]
      : [NOTHING, NOTHING];
    table.push([
      String(stage),
      loss(main.referenceLoss),
      ...(compared ? comparison : []),
      spearman === undefined
        ? NOTHING
        : correlation(spearman) + (spearmanInterval ? ` ${interval(spearmanInterval)}` : ''),
      `${count(selectedRows)} of ${count(poolRows)}`,
      duration(seconds),
    ]);
  }
  return table.toString();
}
