import pc from 'picocolors';
import type { RunSummary } from '../core/formats.ts';
import { WARNING } from '../core/progress.ts';
import { usesAll } from './arms.ts';
import { shownDifference, tone } from './difference.ts';
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
import { terminalTable } from './terminal-table.ts';

/** Warnings about a run and its stages, one line each; empty if there are none. */
export function summaryWarnings({ warnings = [], stages }: RunSummary): string[] {
  const ofStages = stages.flatMap(({ stage, warnings }) => warnings.map((warning) => `stage ${stage}: ${warning}`));
  return [...warnings, ...ofStages].map((warning) => `${WARNING}${warning}`);
}

const aboutDifferences = ({ method }: RunSummary) =>
  "In parentheses after a loss: its difference from the control's, after rounding; " +
  (method === 'train-on-reference'
    ? 'negative favours training on the reference passages. Their own loss only says how well they were learned: go by the held-out loss.'
    : 'negative favours selection.');

/** Most characters of a domain's name. */
const LONGEST_NAME = 20;

/**
 * The table that a run ends with on a terminal: one row per stage, losses in nats per token, no final newline.
 *
 * @param columns width of the terminal; without it, the table is as wide as it has to be.
 */
export function closingTable(summary: RunSummary, { color, columns }: { color: boolean; columns?: number }): string {
  const paint = pc.createColors(color);
  const compared = summary.stages.some(({ control }) => control);
  const head = [
    'stage',
    'reference loss',
    'held-out loss',
    'mixed-domain loss',
    'Spearman [interval]',
    'most selected (of pool)',
    'rows selected',
    'time',
  ].map((name) => paint.bold(name));
  const rows = summary.stages.map((each) => {
    const { stage, main, control, spearman, spearmanInterval, selectedRows, poolRows, seconds, mostSelected } = each;
    const { domain, share, poolShare } = mostSelected;
    const lossOf = (name: 'referenceLoss' | 'heldOutLoss' | 'mixedDomainLoss') => {
      if (!control) return loss(main[name]);
      const difference = shownDifference(main[name], control[name]);
      const color = { better: paint.green, worse: paint.yellow, none: String }[tone(difference) ?? 'none'];
      return `${loss(main[name])} (${color(lossDifference(difference))})`;
    };
    return [
      String(stage),
      lossOf('referenceLoss'),
      lossOf('heldOutLoss'),
      lossOf('mixedDomainLoss'),
      spearman === undefined
        ? NOTHING
        : correlation(spearman) + (spearmanInterval ? ` ${interval(spearmanInterval)}` : ''),
      `${shorten(domain, LONGEST_NAME)} ${plainPercent(share)} (${plainPercent(poolShare)})`,
      `${count(selectedRows)} of ${count(poolRows)}`,
      duration(seconds),
    ];
  });
  const colAligns = head.map(() => 'right' as const);
  const table = terminalTable(rows, { head, colAligns, style: { head: [], border: [], compact: true } }, columns);
  const notes = [...(compared ? [aboutDifferences(summary)] : []), ...aboutRows(summary)];
  return [table, ...notes].join('\n');
}

/** A sentence about the stages whose steps took fewer rows than were selected. */
function aboutRows({ stages }: RunSummary): string[] {
  const fewer = stages.filter((stage) => stage.scored && !usesAll(stage));
  const rows = fewer.map(({ stage, consumedRows }) => `stage ${stage}: ${count(consumedRows!)}`);
  return rows.length ? [`Selected rows that the steps took, drawn at random: ${rows.join(', ')}.`] : [];
}
