/** Several runs side by side: methods over seeds, and their paired differences to one of them. */
import { ConfigError } from '../errors.ts';
import type { ArmSummary, RunSummary } from '../formats.ts';
import { mean, standardError } from '../metrics/index.ts';
import { checkRuns, notesOn } from './checks.ts';
import { type Difference, differenceOf } from './difference.ts';
import { type Entry, labelled, sourceOf } from './entries.ts';
import { LOSSES, type Losses } from './losses.ts';
import { meanFigures, type TaskFigure, type TaskStage, taskFigures, taskStages } from './tasks.ts';

/** One model's course: what it had cost and what it was worth at the end of each stage. */
export interface Course {
  label: string;
  seed: number;
  points: CoursePoint[];
  /**
   * That of the run's own control. It has the same pools, so the run is compared with it rather than with another
   * `random`.
   */
  control?: CoursePoint[];
}

export interface CoursePoint {
  stage: number;
  /** Tokens trained on up to here. */
  tokens: number;
  /** Operations up to here, the selection's included. */
  flops: number;
  /** Seconds up to here in which a job of the training or the selection was at work; absent where none are recorded. */
  seconds?: number;
  losses: Losses;
  /** Absent where the run has no task. */
  tasks?: TaskFigure[];
  spearman?: number;
}

/** One method at one stage. */
export interface MethodStage {
  label: string;
  stage: number;
  seeds: number[];
  mean: Losses;
  /** Standard errors of the means over the seeds; NaN for one seed. */
  standardError: Losses;
  /** Mean operations up to here. */
  flops: number;
  spearman?: number;
  /** Difference to the baseline, over the seeds that both have; absent for the baseline itself. */
  difference?: Record<keyof Losses, Difference>;
  /** Absent where none of the runs has a task. */
  tasks?: TaskStage[];
}

export interface Comparison {
  /** Runs that are compared, and how many of them have a control of their own. */
  runs: { given: number; controlled: number };
  baseline: string;
  labels: string[];
  stages: MethodStage[];
  courses: Course[];
  /** What a reader should know about the runs, in sentences. */
  notes: string[];
}

const RANDOM = 'random';

/**
 * Compares runs by their summaries. Runs of one method and different seeds are one row, and are paired with the baseline's by
 * seed; if the baseline is `random`, a run with a control is paired with its own. For each seed, the row `random` has
 * the run of that method or, if there is none, the mean of the controls.
 *
 * @param baseline label that the others are compared with; by default `random`, else the first.
 * @throws ConfigError when two runs have the same label and seed, when a loss is not a number, when the losses were measured on
 *   different data or after training with different settings, or when there is no such baseline.
 */
export function compareRuns(entries: readonly Entry[], baseline?: string): Comparison {
  checkRuns(entries);
  const runs = labelled(entries).map(({ label, summary }) => courseOf(label, summary));
  runs.forEach(({ label, seed }, i) => {
    const first = runs.findIndex((one) => one.label === label && one.seed === seed);
    if (first === i) return;
    const [one, other] = [entries[first]!, entries[i]!].map(sourceOf);
    throw new ConfigError(
      `compare: ${one} and ${other} are both "${label}" with seed ${seed}: leave one out, or give one a label of its own, as in LABEL=${other}.`,
    );
  });
  const all = withControls(runs);
  const labels = [...new Set(all.map(({ label }) => label))];
  const base = baseline ?? (labels.includes(RANDOM) ? RANDOM : labels[0]!);
  if (!labels.includes(base))
    throw new ConfigError(`--baseline ${base}: no run is of that method; there are ${labels.join(', ')}.`);
  const stages = [...new Set(all.flatMap(({ points }) => points.map(({ stage }) => stage)))].sort((a, b) => a - b);
  const rows = stages.flatMap((stage) => labels.flatMap((label) => methodStage(all, label, stage, base) ?? []));
  const given = { given: runs.length, controlled: runs.filter(({ control }) => control).length };
  return { runs: given, baseline: base, labels, stages: rows, courses: all, notes: notesOn(entries) };
}

/** The last stage that every run has reached. */
export const lastCommonStage = (courses: readonly Course[]): number =>
  Math.min(...courses.map(({ points }) => points.at(-1)!.stage));

function courseOf(label: string, { seed, stages }: RunSummary): Course {
  const course = (of: 'main' | 'control'): CoursePoint[] => {
    let flops = 0;
    let seconds: number | undefined = 0;
    const points: CoursePoint[] = [];
    for (const { stage, main, control, selectionFlops, selectionSeconds, spearman } of stages) {
      // The first stage, and every other without a control, is shared.
      const arm: ArmSummary = of === 'main' ? main : (control ?? main);
      flops += arm.trainingFlops + (of === 'main' ? selectionFlops : 0);
      const { trainingSeconds } = arm;
      if (seconds !== undefined && trainingSeconds !== undefined)
        seconds += trainingSeconds + (of === 'main' ? selectionSeconds : 0);
      else seconds = undefined;
      const { tokens, referenceLoss, heldOutLoss, mixedDomainLoss } = arm;
      points.push({
        stage,
        tokens,
        flops,
        seconds,
        losses: { referenceLoss, heldOutLoss, mixedDomainLoss },
        tasks: taskFigures(arm),
        spearman: of === 'main' ? spearman : undefined,
      });
    }
    return points;
  };
  const isControlled = stages.some(({ control }) => control);
  return { label, seed, points: course('main'), control: isControlled ? course('control') : undefined };
}

/**
 * The runs and, for each seed without a run called `random`, a course of that name: the mean of the seed's controls.
 * These differ only by rounding, and by what runs of one seed may differ in, such as `selection.fraction`.
 */
function withControls(runs: readonly Course[]): Course[] {
  const random = new Set(runs.flatMap(({ label, seed }) => (label === RANDOM ? [seed] : [])));
  const controls = runs.flatMap(({ seed, control }) =>
    control && !random.has(seed) ? [{ label: RANDOM, seed, points: control }] : [],
  );
  const means = [...new Set(controls.map(({ seed }) => seed))].map((seed) => ({
    label: RANDOM,
    seed,
    points: meanCourse(controls.filter((one) => one.seed === seed)),
  }));
  return [...runs, ...means];
}

function methodStage(courses: Course[], label: string, stage: number, baseline: string): MethodStage | undefined {
  const at = (points: CoursePoint[] = []) => points.find((one) => one.stage === stage);
  const of = (name: string) => courses.filter((course) => course.label === name);
  const others = new Map(of(baseline).map(({ seed, points }) => [seed, at(points)]));
  const runs = of(label).flatMap(({ seed, points, control }) => {
    const point = at(points);
    const other = (baseline === RANDOM ? at(control) : undefined) ?? others.get(seed);
    return point ? [{ seed, point, other }] : [];
  });
  if (runs.length === 0) return undefined;
  const over = (summary: (values: number[]) => number) =>
    byLoss((name) => summary(runs.map(({ point }) => point.losses[name])));
  const spearmans = runs.flatMap(({ point }) => point.spearman ?? []);
  const difference = (name: keyof Losses) =>
    differenceOf(runs.flatMap(({ point, other }) => (other ? [point.losses[name] - other.losses[name]] : [])));
  return {
    label,
    stage,
    seeds: runs.map(({ seed }) => seed).sort((a, b) => a - b),
    mean: over(mean),
    standardError: over(standardError),
    flops: mean(runs.map(({ point }) => point.flops)),
    spearman: spearmans.length ? mean(spearmans) : undefined,
    difference: label === baseline ? undefined : byLoss(difference),
    tasks: taskStages(
      runs.map(({ point, other }) => ({ own: point.tasks, other: label === baseline ? undefined : other?.tasks })),
    ),
  };
}

const byLoss = <T>(of: (name: keyof Losses) => T) =>
  Object.fromEntries(LOSSES.map((name) => [name, of(name)])) as Record<keyof Losses, T>;

/**
 * The courses of the seeds that every label has: seeds differ more than methods do, so means over different seeds
 * mislead.
 */
export function onSharedSeeds(courses: readonly Course[]): Course[] {
  const labels = [...new Set(courses.map(({ label }) => label))];
  const has = (label: string, seed: number) => courses.some((one) => one.label === label && one.seed === seed);
  return courses.filter(({ seed }) => labels.every((label) => has(label, seed)));
}

/** The mean of several courses, stage by stage over those that reach it. */
export function meanCourse(courses: readonly Course[]): CoursePoint[] {
  const stages = [...new Set(courses.flatMap(({ points }) => points.map(({ stage }) => stage)))].sort((a, b) => a - b);
  return stages.map((stage) => {
    const points = courses.flatMap((course) => course.points.filter((one) => one.stage === stage));
    const over = (of: (one: CoursePoint) => number) => mean(points.map(of));
    return {
      stage,
      tokens: over(({ tokens }) => tokens),
      flops: over(({ flops }) => flops),
      seconds: points.some(({ seconds }) => seconds === undefined) ? undefined : over(({ seconds }) => seconds!),
      losses: byLoss((name) => over(({ losses }) => losses[name])),
      tasks: meanFigures(points.map(({ tasks }) => tasks)),
    };
  });
}
