/** Loss over the run: training curves, and evaluations at the end of each stage. */
import type { TrainingMetrics } from '../../core/formats.ts';
import { mean } from '../../core/metrics/index.ts';
import type { ArmNames } from '../arms.ts';
import { controlEvaluation, type StageReport } from '../data.ts';
import { count, loss } from '../format.ts';
import type { Html } from '../html.ts';
import { html } from '../html.ts';
import { stageTicks } from '../stages.ts';
import { chart, figure, legend, Plot, responsive } from './plot.ts';

export const ARM_COLORS = { main: 'var(--main)', control: 'var(--control)' } as const;

/** The legend for the dots of the two arms; not needed without a control. */
export const armLegend = (compared: boolean, names: ArmNames) =>
  compared &&
  legend(
    { color: ARM_COLORS.main, swatch: 'dot', label: names.main },
    { color: ARM_COLORS.control, swatch: 'ring', label: names.control },
  );

interface Point {
  step: number;
  loss: number;
  smooth: number;
}

/** Most points of a curve: more cannot be told apart on the widest chart and only make the file larger. */
const MAX_POINTS = 700;

/**
 * Training loss of both arms, raw and smoothed, with a rule where each stage begins; undefined before the first
 * metrics.
 */
export function trainingChart(stages: StageReport[], tokensPerStep: number, names: ArmNames): Html | undefined {
  const main = curve(stages.map((stage) => stage.main.metrics));
  const control = curve(stages.map((stage) => stage.control.metrics));
  if (main.length === 0) return undefined;
  const starts = stages.flatMap(({ stage, plan }) => (plan ? [{ stage, step: plan.firstStep }] : []));
  const every = Math.ceil(starts.length / 10);
  const shown = starts.filter((_, i) => i % every === 0);
  const lines = (points: Point[], color: string, dashed: boolean) => [
    Plot.lineY(points, { x: 'step', y: 'loss', stroke: color, strokeOpacity: 0.28, strokeWidth: 1, z: null }),
    Plot.lineY(points, {
      x: 'step',
      y: 'smooth',
      stroke: color,
      strokeWidth: 2,
      strokeDasharray: dashed ? '6 3' : undefined,
      z: null,
    }),
  ];
  return figure(
    'Training loss',
    `Faint: each ${main.length < MAX_POINTS ? 'step' : 'group of steps'}; strong: moving mean within a stage.${control.length ? ' The two arms read different rows, so only the evaluations below compare them.' : ''}`,
    html`${
      control.length > 0 &&
      legend(
        { color: ARM_COLORS.main, swatch: 'line', label: names.main },
        { color: ARM_COLORS.control, swatch: 'dashed', label: names.control },
      )
    }${responsive((width, narrow) =>
      chart('Training loss in nats per token over optimizer steps, for both arms', {
        width,
        height: narrow ? 260 : 340,
        marginLeft: 44,
        marginTop: 34,
        marginBottom: 42,
        x: {
          label: `optimizer step (${count(tokensPerStep)} tokens each)`,
          ticks: narrow ? 4 : 8,
          tickFormat: count,
        },
        y: { label: 'loss (nats per token)', ticks: 6, grid: true, insetTop: 20 },
        marks: [
          Plot.ruleX(shown, { x: 'step', stroke: 'var(--muted)', strokeOpacity: 0.6, strokeDasharray: '2 3' }),
          Plot.text(shown, {
            x: 'step',
            text: (d: { stage: number }) => (narrow && shown.length > 4 ? `${d.stage}` : `stage ${d.stage}`),
            frameAnchor: 'top',
            textAnchor: 'start',
            dx: 4,
            fill: 'var(--muted)',
          }),
          ...lines(control, ARM_COLORS.control, true),
          ...lines(main, ARM_COLORS.main, false),
        ],
      }),
    )}`,
  );
}

/** The stages' losses as one curve; smoothing does not cross from one stage's data to the next. */
function curve(stages: (TrainingMetrics | undefined)[]): Point[] {
  const total = stages.reduce((sum, stage) => sum + (stage?.loss.length ?? 0), 0);
  const group = Math.ceil(total / MAX_POINTS);
  return stages.flatMap((metrics) => {
    if (!metrics) return [];
    const smooth = movingMean(metrics.loss, Math.ceil(metrics.loss.length / 20));
    const points: Point[] = [];
    for (let i = 0; i < metrics.loss.length; i += group) {
      const slice = metrics.loss.slice(i, i + group);
      points.push({
        step: metrics.firstStep + i + (slice.length - 1) / 2,
        loss: mean(slice),
        smooth: mean(smooth.slice(i, i + group)),
      });
    }
    return points;
  });
}

/** Mean over each value and its neighbours at most `reach` away. */
function movingMean(values: readonly number[], reach: number): number[] {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1)! + value);
  return values.map((_, i) => {
    const begin = Math.max(0, i - reach);
    const end = Math.min(values.length, i + reach + 1);
    return (sums[end]! - sums[begin]!) / (end - begin);
  });
}

const lossesOf = ({ reference }: ArmNames) =>
  [
    { key: 'referenceLoss', title: 'Reference loss', note: reference },
    { key: 'heldOutLoss', title: 'Held-out loss', note: 'other passages of the same kind' },
    { key: 'mixedDomainLoss', title: 'Mixed-domain loss', note: 'mean over the corpus\u2019s domains' },
  ] as const;

/** The three evaluation losses after each stage for both arms, one panel per loss. */
export function evaluationCharts(stages: StageReport[], names: ArmNames): Html | undefined {
  if (!stages.some(({ main }) => main.evaluation)) return undefined;
  const ticks = stageTicks(stages);
  const compared = stages.some((stage) => stage.control.evaluation);
  const panels = lossesOf(names).map(({ key, title, note }) => {
    const points = (arm: 'main' | 'control') =>
      stages.flatMap((stage) => {
        const value = (arm === 'main' ? stage.main.evaluation : controlEvaluation(stage))?.[key];
        return value === undefined ? [] : [{ stage: stage.stage, loss: value }];
      });
    const main = points('main');
    const control = compared ? points('control') : [];
    return figure(
      title,
      note,
      chart(`${title} in nats per token after each stage, for both arms`, {
        width: 330,
        height: 230,
        marginLeft: 46,
        marginTop: 28,
        marginBottom: 40,
        inset: 10,
        x: {
          domain: [0, Math.max(1, stages.length - 1)],
          ticks,
          tickFormat: 'd',
          label: 'stage',
        },
        y: {
          label: 'loss (nats per token)',
          ticks: 5,
          grid: true,
        },
        marks: [
          Plot.lineY(control, {
            x: 'stage',
            y: 'loss',
            stroke: ARM_COLORS.control,
            strokeWidth: 2,
            strokeDasharray: '6 3',
          }),
          Plot.lineY(main, { x: 'stage', y: 'loss', stroke: ARM_COLORS.main, strokeWidth: 2 }),
          Plot.dot(control, {
            x: 'stage',
            y: 'loss',
            r: 4,
            fill: 'var(--surface)',
            stroke: ARM_COLORS.control,
            strokeWidth: 2,
            title: titleOf(names.control),
          }),
          Plot.dot(main, { x: 'stage', y: 'loss', r: 4, fill: ARM_COLORS.main, title: titleOf(names.main) }),
        ],
      }),
    );
  });
  return html`${armLegend(compared, names)}<div class="panels">${panels}</div>`;
}

const titleOf = (arm: string) => (d: { stage: number; loss: number }) => `${arm}, stage ${d.stage}: ${loss(d.loss)}`;
