/** Several runs side by side: methods over seeds, and their paired differences to one of them. */
import { ConfigError } from '../errors.ts';
import type { ArmSummary, RunSummary } from '../formats.ts';
import { bootstrapInterval, mean, standardError, studentFactor } from '../metrics/index.ts';

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
  spearman?: number;
}

const LOSSES = ['referenceLoss', 'heldOutLoss', 'mixedDomainLoss'] as const;
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
  /** Difference to the baseline, over the seeds that both have; absent for the baseline itself. */
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
  /** Runs that are compared, and how many of them have a control of their own. */
  runs: { given: number; controlled: number };
  baseline: string;
  labels: string[];
  stages: MethodStage[];
  courses: Course[];
  /** Sentences about stages that were not selected by the run's method. */
  replaced: string[];
}

/** A run to compare. */
export interface Entry {
  summary: RunSummary;
  /** What to call its row instead of its method: runs of one label and different seeds are one row. */
  label?: string;
  /** Its folder or file, to name it by in messages. @default - the run's id, which others may have too */
  source?: string;
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
  checkLosses(entries);
  checkData(entries);
  checkChoice(entries);
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
  return { runs: given, baseline: base, labels, stages: rows, courses: all, replaced: replacedIn(entries) };
}

function replacedIn(entries: readonly Entry[]): string[] {
  return labelled(entries).flatMap(({ label, summary: { seed, method: configured, stages } }) => {
    const replaced = stages.filter(({ scored, method }) => scored && method !== undefined && method !== configured);
    if (replaced.length === 0) return [];
    const which = replaced.map(({ stage, method }) => `stage ${stage} (by ${method})`).join(', ');
    return [
      `${label}, seed ${seed}: not selected by ${configured} in ${which}, as the influence model or its labels were weak.`,
    ];
  });
}

/** What runs must have in common, and what the error says that two runs have if they do not. */
const COMMON = {
  heldOut: 'different held-out passages',
  reference: 'different reference passages',
  settings: 'different settings of model, pretrain, pools or evaluation',
  rows: 'different sizes of vocabulary or lengths of rows',
  tokenizer: 'different tokenizers',
  corpus: 'different corpora, though their seed is the same', // the seed deals it anew
} as const;

const sourceOf = ({ source, summary }: Entry): string => source ?? summary.runId;

/** JSON has `null` for what is not a number, and that would be subtracted as 0. */
function checkLosses(entries: readonly Entry[]): void {
  for (const entry of entries)
    for (const { stage, main, control = main } of entry.summary.stages)
      for (const name of LOSSES)
        if (!Number.isFinite(main[name]) || !Number.isFinite(control[name]))
          throw new ConfigError(
            `compare: ${name} of stage ${stage} of ${sourceOf(entry)} is not a number: its training diverged, or its summary is damaged. Leave the run out.`,
          );
}

function checkData(entries: readonly Entry[]): void {
  const known = entries.flatMap((entry) => {
    const { seed, data } = entry.summary;
    return data ? [{ source: sourceOf(entry), seed, data }] : [];
  });
  for (const one of known)
    for (const other of known)
      for (const name of Object.keys(COMMON) as (keyof typeof COMMON)[]) {
        const [a, b] = [one.data[name], other.data[name]];
        if (a === b || a === undefined || b === undefined) continue;
        if (name === 'corpus' && one.seed !== other.seed) continue;
        throw new ConfigError(
          `compare: the runs ${one.source} and ${other.source} have ${COMMON[name]}, so their losses cannot be subtracted. ` +
            'Compare runs that differ only in what is to be compared: seed, probe, influenceModel, selection, pretrain.stages. ' +
            "Each run's run.json has its configuration.",
        );
      }
}

/** Runs without a label form a row by their method, so all of them must choose rows in the same way. */
function checkChoice(entries: readonly Entry[]): void {
  const firstOf = new Map<string, Entry>();
  for (const [i, { label, summary }] of labelled(entries).entries()) {
    const entry = entries[i]!;
    const choice = entry.label === undefined ? summary.data?.choice : undefined;
    if (choice === undefined) continue;
    const first = firstOf.get(label) ?? entry;
    firstOf.set(label, first);
    if (first.summary.data!.choice !== choice)
      throw new ConfigError(
        `compare: the runs ${sourceOf(first)} and ${sourceOf(entry)} are both ${label}, and differ in probe, influenceModel or selection: ` +
          'so they are not seeds of one method. Put a label before the runs of each: LABEL=out/runs/...',
      );
  }
}

/** Labels runs by their method, or by their name where several have the same method and seed. */
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
    bootstrap: bootstrapInterval(values.length, (drawn) => mean(Float64Array.from(drawn, (i) => values[i]!)), {
      seed: 1,
      resamples: 10_000,
    }),
    student: [difference.mean - half, difference.mean + half],
  };
}
