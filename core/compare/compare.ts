/** Several runs side by side: methods over seeds, and their paired differences to one of them. */
import { ConfigError } from '../errors.ts';
import type { ArmSummary, RunSummary } from '../formats.ts';
import { bootstrapInterval, mean, standardError, studentFactor } from '../metrics/index.ts';

/** One model's course: what it had cost and what it was worth at the end of each stage. */
export interface Course {
  label: string;
  seed: number;
  points: CoursePoint[];
}

export interface CoursePoint {
  stage: number;
  /** Trained on up to here. */
  tokens: number;
  /** Operations up to here, the selection's included. */
  flops: number;
  /** Seconds up to here in which a job of the training or the selection was at work. */
  seconds: number;
  losses: Losses;
  spearman?: number;
}

export const LOSSES = ['referenceLoss', 'heldOutLoss', 'mixedDomainLoss'] as const;
export type Losses = Record<(typeof LOSSES)[number], number>;

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
  /** To the baseline, over the seeds that both have; absent for the baseline itself. */
  difference?: Record<keyof Losses, Difference>;
}

/** A mean of paired differences; negative is better than the baseline. */
export interface Difference {
  seeds: number;
  mean: number;
  /** 95 % by the percentile bootstrap over seeds, and by Student's t, which is honest for few seeds; absent for one. */
  bootstrap?: [number, number];
  student?: [number, number];
}

export interface Comparison {
  baseline: string;
  labels: string[];
  stages: MethodStage[];
  courses: Course[];
}

/** A run as it is compared. */
export interface Entry {
  summary: RunSummary;
  /** What to call its row instead of its method: runs of one label and different seeds are one row. */
  label?: string;
}

/**
 * Compares runs by their summaries. Runs of one method and different seeds are one row; a run's control is a run of the
 * method `random`, where no run of it has that seed.
 *
 * @param baseline label that the others are compared with; by default `random`, else the first.
 * @throws ConfigError when two runs have the same label and seed, when their losses were measured on different data, or when
 *   there is no such baseline.
 */
export function compareRuns(entries: readonly Entry[], baseline?: string): Comparison {
  checkData(entries);
  const courses = labelled(entries).flatMap(({ label, summary }) => coursesOf(label, summary));
  const all: Course[] = [];
  // A run of its own goes before another's control.
  for (const { control, label, seed, points } of courses.toSorted((a, b) => Number(a.control) - Number(b.control))) {
    const twice = all.some((one) => one.label === label && one.seed === seed);
    if (twice && !control)
      throw new ConfigError(
        `compare: two runs are ${label} with seed ${seed}. Leave one out, or put a label before one of them: LABEL=out/runs/...`,
      );
    if (!twice) all.push({ label, seed, points });
  }
  const labels = [...new Set(all.map(({ label }) => label))];
  const base = baseline ?? (labels.includes('random') ? 'random' : labels[0]!);
  if (!labels.includes(base))
    throw new ConfigError(`--baseline ${base}: no run is of that method; there are ${labels.join(', ')}.`);
  const stages = [...new Set(all.flatMap(({ points }) => points.map(({ stage }) => stage)))].sort((a, b) => a - b);
  const rows = stages.flatMap((stage) => labels.flatMap((label) => methodStage(all, label, stage, base) ?? []));
  return { baseline: base, labels, stages: rows, courses: all };
}

/** Held-out passages are the same for all; the corpus, which a seed deals anew, for those of one seed. */
function checkData(entries: readonly Entry[]): void {
  const known = entries.flatMap(({ summary }) => (summary.data ? [{ ...summary, data: summary.data }] : []));
  for (const one of known)
    for (const other of known) {
      const differs =
        one.data.heldOut !== other.data.heldOut
          ? 'other held-out passages'
          : one.seed === other.seed && one.data.corpus !== other.data.corpus
            ? 'another corpus, though their seed is the same'
            : undefined;
      if (differs)
        throw new ConfigError(
          `compare: the runs ${one.runId} and ${other.runId} have ${differs}, so their losses cannot be subtracted. ` +
            'Compare runs that differ in what is to be compared alone.',
        );
    }
}

/** Runs by their method, and by their name where names tell runs of one method and seed apart. */
function labelled(entries: readonly Entry[]): { label: string; summary: RunSummary }[] {
  const keys = entries.map(({ label, summary }) => `${label ?? summary.method} ${summary.seed}`);
  const ambiguous = new Set(
    entries.filter((_, i) => keys.indexOf(keys[i]!) !== i).map(({ summary }) => summary.method),
  );
  return entries.map(({ label, summary }) => ({
    label: label ?? (ambiguous.has(summary.method) ? summary.name : summary.method),
    summary,
  }));
}

/** The last stage that every run has reached. */
export const lastCommonStage = (courses: readonly Course[]): number =>
  Math.min(...courses.map(({ points }) => points.at(-1)!.stage));

function coursesOf(label: string, { seed, stages }: RunSummary): (Course & { control: boolean })[] {
  const course = (of: 'main' | 'control'): CoursePoint[] => {
    let [flops, seconds] = [0, 0];
    const points: CoursePoint[] = [];
    for (const { stage, main, control, selectionFlops, selectionSeconds, spearman } of stages) {
      // The first stage, and every other without a control, is shared.
      const arm: ArmSummary = of === 'main' ? main : (control ?? main);
      flops += arm.trainingFlops + (of === 'main' ? selectionFlops : 0);
      seconds += arm.trainingSeconds + (of === 'main' ? selectionSeconds : 0);
      const { tokens, referenceLoss, heldOutLoss, mixedDomainLoss } = arm;
      points.push({
        ...{ stage, tokens, flops, seconds, losses: { referenceLoss, heldOutLoss, mixedDomainLoss } },
        spearman: of === 'main' ? spearman : undefined,
      });
    }
    return points;
  };
  const main = { label, seed, points: course('main'), control: false };
  if (!stages.some(({ control }) => control)) return [main];
  return [main, { label: 'random', seed, points: course('control'), control: true }];
}

function methodStage(courses: Course[], label: string, stage: number, baseline: string): MethodStage | undefined {
  const at = (of: string) =>
    new Map(
      courses.flatMap(({ label: name, seed, points }) => {
        const point = name === of ? points.find((one) => one.stage === stage) : undefined;
        return point ? [[seed, point] as const] : [];
      }),
    );
  const points = at(label);
  if (points.size === 0) return undefined;
  const over = (of: (values: number[]) => number) =>
    Object.fromEntries(LOSSES.map((name) => [name, of([...points.values()].map(({ losses }) => losses[name]))]));
  const spearmans = [...points.values()].flatMap(({ spearman }) => spearman ?? []);
  const others = at(baseline);
  return {
    ...{ label, stage, seeds: [...points.keys()].sort((a, b) => a - b) },
    mean: over(mean) as Losses,
    standardError: over(standardError) as Losses,
    flops: mean([...points.values()].map(({ flops }) => flops)),
    spearman: spearmans.length ? mean(spearmans) : undefined,
    difference:
      label === baseline
        ? undefined
        : (Object.fromEntries(
            LOSSES.map((name) => [
              name,
              differenceOf(
                [...points].flatMap(([seed, { losses }]) => {
                  const other = others.get(seed);
                  return other ? [losses[name] - other.losses[name]] : [];
                }),
              ),
            ]),
          ) as MethodStage['difference']),
  };
}

/** The mean of several courses, stage by stage over those that reach it. */
export function meanCourse(courses: readonly Course[]): CoursePoint[] {
  const stages = [...new Set(courses.flatMap(({ points }) => points.map(({ stage }) => stage)))].sort((a, b) => a - b);
  return stages.map((stage) => {
    const points = courses.flatMap((course) => course.points.filter((one) => one.stage === stage));
    const over = (of: (one: CoursePoint) => number) => mean(points.map(of));
    return {
      ...{ stage, tokens: over(({ tokens }) => tokens), flops: over(({ flops }) => flops) },
      seconds: over(({ seconds }) => seconds),
      losses: Object.fromEntries(LOSSES.map((name) => [name, over(({ losses }) => losses[name])])) as Losses,
    };
  });
}

/** The mean of paired differences with its intervals. */
export function differenceOf(values: number[]): Difference {
  const difference: Difference = { seeds: values.length, mean: mean(values) };
  if (values.length < 2) return difference;
  const half = studentFactor(values.length) * standardError(values);
  return {
    ...difference,
    bootstrap: bootstrapInterval(values, values, mean, { seed: 1, resamples: 10_000 }),
    student: [difference.mean - half, difference.mean + half],
  };
}
