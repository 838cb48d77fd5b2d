/** Zero-shot tasks in a comparison of several runs. */
import type { Comparison } from '../core/compare/compare.ts';
import type { TaskStage } from '../core/compare/tasks.ts';
import { differenceText } from './compared-difference.ts';
import { count, loss, percent, percentagePoints } from './format.ts';

/** The columns of the table, whether it is in a terminal, a page or Markdown. */
export const COMPARED_TASKS = ['task', 'metric', 'method', 'seeds', 'score', 'difference'];

/** Its rows: for each figure of each task, the methods that have it. Empty where no run has a task. */
export function comparedTaskRows({ stages }: Comparison, at: number): string[][] {
  const all = stages
    .filter(({ stage }) => stage === at)
    .flatMap(({ label, tasks = [] }) => tasks.map((figure) => ({ label, ...figure })));
  const names = [...new Set(all.map(({ task, metric }) => `${task} ${metric}`))];
  return names.flatMap((name) => all.filter(({ task, metric }) => `${task} ${metric}` === name).map(cellsOf));
}

function cellsOf({ label, task, metric, seeds, mean, standardError, difference }: TaskStage & { label: string }) {
  const isShare = metric === 'acc' || metric === 'acc_norm';
  const score = isShare ? percent : loss;
  return [
    task,
    metric,
    label,
    count(seeds),
    score(mean) + (seeds > 1 ? ` \u00b1 ${score(standardError)}` : ''),
    differenceText(difference, seeds, isShare ? percentagePoints : undefined),
  ];
}

/** The note below the table. */
export const ABOUT_TASKS =
  'Zero-shot tasks, on the decay branch: higher accuracies (acc, acc_norm; differences in percentage points), lower losses (nats per token) and bits per byte are better. ' +
  'Mean \u00b1 standard error over seeds, differences as above; what the choice of the items adds to them is not in the intervals.';
