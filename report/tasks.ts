/** Zero-shot tasks at the last stage that has them, both arms side by side. */
import {
  type ContinuationScore,
  type Difference,
  isChoice,
  pairedDifference,
  pairedMeanDifference,
  type TaskScore,
} from '../core/evaluation/index.ts';
import type { ArmNames } from './arms.ts';
import { controlEvaluation, isShared, type StageReport } from './data.ts';
import { NOTHING, percent, percentagePoints, perplexity } from './format.ts';
import { type Html, html } from './html.ts';

/** One figure of a task, for both arms. */
interface Row {
  task: string;
  metric: string;
  main: string;
  control: string;
  /** Main minus control in percentage points, with its standard error. */
  difference?: Difference;
}

/** Undefined when no stage has been evaluated on any task. */
export function taskScores(stages: StageReport[], names: ArmNames): Html | undefined {
  const last = stages.findLast((stage) => stage.main.evaluation?.tasks && controlEvaluation(stage));
  const { tasks, taskMean } = last?.main.evaluation ?? {};
  if (!last || !tasks) return undefined;
  const other = isShared(last) ? undefined : controlEvaluation(last);
  const rows = tasks.flatMap((score, i) => taskRows(score, other?.tasks?.[i]));
  if (taskMean) {
    const task = `mean of ${taskMean.tasks} choice tasks`;
    const control = other?.taskMean;
    const difference = (metric: 'acc' | 'accNorm') => pairedMeanDifference(tasks, other?.tasks ?? [], metric);
    rows.push(accuracyRow(task, 'acc', taskMean, control, difference('acc')));
    if (tasks.some((score) => isChoice(score) && score.accNorm !== undefined))
      rows.push(accuracyRow(task, 'acc_norm', normed(taskMean), normed(control), difference('accNorm')));
  }
  const row = ({ task, metric, main, control, difference }: Row) =>
    html`<tr><th scope="row">${task}</th><td class="text">${metric}</td><td>${main}</td>${
      other &&
      html`<td>${control}</td><td>${difference ? `${percentagePoints(difference.difference)} \u00b1 ${percent(difference.stderr)}` : NOTHING}</td>`
    }</tr>
`;
  return html`<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">task</th><th class="text" scope="col">metric</th><th scope="col">${other ? names.column : 'main'}</th>${other && html`<th scope="col">random</th><th scope="col">diff.</th>`}</tr></thead>
<tbody>${rows.map(row)}</tbody></table></div>
<p class="note">After stage ${last.stage}, on its decay branch, by the conventions of lm-evaluation-harness; \u00b1 is one standard error over the items${other && '; that of a difference is paired, item by item'}. It says nothing about other seeds.</p>`;
}

function taskRows(score: TaskScore, other: TaskScore | undefined): Row[] {
  const { task } = score;
  if (score.layout === 'text') {
    const bits = (of: TaskScore | undefined) => (of?.layout === 'text' ? of.bitsPerByte.toFixed(3) : NOTHING);
    return [{ task, metric: 'bits per byte', main: bits(score), control: bits(other) }];
  }
  const same = other && other.layout !== 'text' ? other : undefined;
  const rows = [accuracyRow(task, 'acc', score, same, same && pairedDifference(score.correct, same.correct))];
  if (score.layout === 'continuation') {
    const control = other?.layout === 'continuation' ? other : undefined;
    rows.push({ task, metric: 'perplexity', main: perplexed(score), control: perplexed(control) });
  } else if (score.correctNorm !== undefined) {
    const control = other && isChoice(other) ? other : undefined;
    const difference = pairedDifference(score.correctNorm, control?.correctNorm ?? '');
    rows.push(accuracyRow(task, 'acc_norm', normed(score), normed(control), difference));
  }
  return rows;
}

type Accuracy = { acc?: number; accStderr?: number };

function accuracyRow(
  task: string,
  metric: string,
  main: Accuracy,
  control: Accuracy | undefined,
  difference: Difference | undefined,
): Row {
  return { task, metric, main: share(main), control: share(control), difference };
}

const normed = (score: { accNorm?: number; accNormStderr?: number } | undefined): Accuracy => ({
  acc: score?.accNorm,
  accStderr: score?.accNormStderr,
});

const share = ({ acc, accStderr = 0 }: Accuracy = {}) =>
  acc === undefined ? NOTHING : `${percent(acc)} \u00b1 ${percent(accStderr)}`;

const perplexed = (score: ContinuationScore | undefined) =>
  score ? `${perplexity(score.perplexity)} \u00b1 ${perplexity(score.perplexityStderr)}` : NOTHING;
