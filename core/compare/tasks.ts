/** Zero-shot tasks of several runs: their figures over seeds, and paired differences. */
import type { ArmSummary, TaskSummary } from '../formats.ts';
import { mean, standardError } from '../metrics/index.ts';
import { type Difference, differenceOf } from './difference.ts';

/**
 * One figure of a task. Accuracies are named as in lm-evaluation-harness; of continuations, the loss in nats per token
 * stands for the perplexity, whose differences are those of the worst model alone.
 */
export interface TaskFigure {
  task: string;
  metric: 'acc' | 'acc_norm' | 'loss' | 'bits per byte';
  /** A share where the metric is an accuracy. */
  value: number;
}

/** One figure of one method at one stage. */
export interface TaskStage extends Omit<TaskFigure, 'value'> {
  /** Runs that have the figure. */
  seeds: number;
  mean: number;
  /** Of the mean over the seeds; NaN for one. */
  standardError: number;
  /** Difference to the baseline, over the seeds of which both have the figure; absent where there is none. */
  difference?: Difference;
}

/** What an arm's tasks came to, with the mean over choice tasks last; undefined where the run has no task. */
export function taskFigures({ tasks, taskMean }: ArmSummary): TaskFigure[] | undefined {
  if (!tasks) return undefined;
  const ofMean = taskMean && { ...taskMean, task: `mean of ${taskMean.tasks} choice tasks` };
  return [...tasks.flatMap(figuresOf), ...(ofMean ? accuracies(ofMean) : [])];
}

function figuresOf(score: TaskSummary): TaskFigure[] {
  if (score.layout === 'text') return [{ task: score.task, metric: 'bits per byte', value: score.bitsPerByte }];
  if (score.layout === 'continuation')
    return [...accuracies(score), { task: score.task, metric: 'loss', value: score.loss }];
  return accuracies(score);
}

function accuracies({ task, acc, accNorm }: { task: string; acc: number; accNorm?: number }): TaskFigure[] {
  const normed = accNorm === undefined ? [] : [{ task, metric: 'acc_norm' as const, value: accNorm }];
  return [{ task, metric: 'acc', value: acc }, ...normed];
}

/** The means of the figures that all of the lists have. */
export function meanFigures(lists: readonly (readonly TaskFigure[] | undefined)[]): TaskFigure[] | undefined {
  const [first, ...others] = lists;
  return first?.flatMap((figure) => {
    const values = [figure, ...others.map((list) => sameIn(list, figure))].flatMap((one) => one?.value ?? []);
    return values.length === lists.length ? [{ ...figure, value: mean(values) }] : [];
  });
}

/**
 * @param runs the figures of a method's runs, each with those of the run that it is compared with.
 * @returns undefined where no run has a task.
 */
export function taskStages(
  runs: readonly { own?: readonly TaskFigure[]; other?: readonly TaskFigure[] }[],
): TaskStage[] | undefined {
  const names = new Map(
    runs.flatMap(({ own = [] }) => own).map(({ task, metric }) => [`${task} ${metric}`, { task, metric }]),
  );
  if (names.size === 0) return undefined;
  return [...names.values()].map((name) => {
    const values = runs.flatMap(({ own }) => sameIn(own, name)?.value ?? []);
    const pairs = runs.flatMap(({ own, other }) => {
      const [a, b] = [sameIn(own, name), sameIn(other, name)];
      return a && b ? [a.value - b.value] : [];
    });
    return {
      ...name,
      seeds: values.length,
      mean: mean(values),
      standardError: standardError(values),
      difference: pairs.length === 0 ? undefined : differenceOf(pairs),
    };
  });
}

const sameIn = (list: readonly TaskFigure[] | undefined, { task, metric }: Omit<TaskFigure, 'value'>) =>
  list?.find((one) => one.task === task && one.metric === metric);
