import Table from 'cli-table3';
import pc from 'picocolors';
import type { RunSummary } from '../core/formats.ts';
import {
  correlation,
  count,
  duration,
  interval,
  loss,
  lossDifference,
  NOTHING,
  plainPercent,
  shorten,
} from './format.ts';

/** What a user should know of a run and of its stages, a line each; empty when there is nothing. */
export function summaryWarnings({ warnings = [], stages }: RunSummary): string[] {
  const ofStages = stages.flatMap(({ stage, warnings }) => warnings.map((warning) => `stage ${stage}: ${warning}`));
  return [...warnings, ...ofStages].map((warning) => `Warning: ${warning}`);
}

/** Characters of a domain's name. */
const LONGEST_NAME = 20;

/** The table a run ends with on a terminal: one row a stage, losses in nats per token, no final newline. */
export function closingTable(summary: RunSummary, { color }: { color: boolean }): string {
  const paint = pc.createColors(color);
  const compared = summary.stages.some(({ control }) => control);
  const table = new Table({
    head: [
      'stage',
      'reference loss',
      ...(compared ? ['control', 'difference'] : []),
      compared ? 'mixed-domain loss' : 'mixed-domain',
      'Spearman [interval]',
      'most selected (of pool)',
      'rows selected',
      'time',
    ].map((name) => paint.bold(name)),
    colAligns: Array.from({ length: compared ? 9 : 7 }, () => 'right' as const),
    style: { head: [], border: [], compact: true },
  });
  for (const each of summary.stages) {
    const { stage, main, control, spearman, spearmanInterval, selectedRows, poolRows, seconds, mostSelected } = each;
    const mixed = control && lossDifference(main.mixedDomainLoss - control.mixedDomainLoss);
    const { domain, share, poolShare } = mostSelected;
    const difference = control && main.referenceLoss - control.referenceLoss;
    const comparison = control
      ? [loss(control.referenceLoss), (difference! < 0 ? paint.green : paint.yellow)(lossDifference(difference!))]
      : [NOTHING, NOTHING];
    table.push([
      String(stage),
      loss(main.referenceLoss),
      ...(compared ? comparison : []),
      loss(main.mixedDomainLoss) + (mixed ? ` (${mixed})` : ''),
      spearman === undefined
        ? NOTHING
        : correlation(spearman) + (spearmanInterval ? ` ${interval(spearmanInterval)}` : ''),
      `${shorten(domain, LONGEST_NAME)} ${plainPercent(share)} (${plainPercent(poolShare)})`,
      `${count(selectedRows)} of ${count(poolRows)}`,
      duration(seconds),
    ]);
  }
  return table.toString();
}
