/** A comparison of several runs as one page and as Markdown. */
import {
  type Comparison,
  type Course,
  type CoursePoint,
  lastCommonStage,
  type MethodStage,
  meanCourse,
  onSharedSeeds,
} from '../core/compare/compare.ts';
import { plural } from '../core/plural.ts';
import { chart, figure, legend, Plot, responsive } from './charts/plot.ts';
import { differenceText } from './compared-difference.ts';
import { ABOUT_TASKS, COMPARED_TASKS, comparedTaskRows } from './compared-tasks.ts';
import { correlation, count, loss, NOTHING } from './format.ts';
import { type Content, type Html, html } from './html.ts';
import { page } from './page.ts';

/** The columns of a table of methods, whether it is in a terminal, a page or Markdown. */
export const COMPARED = [
  'method',
  'seeds',
  'reference loss',
  'difference',
  'held-out loss',
  'difference',
  'mixed-domain loss',
  'difference',
  'Spearman',
  'FLOPs',
];

/** The rows of that table: one for each method that has reached the stage. */
export const comparedRows = ({ stages }: Comparison, at: number): string[][] =>
  stages.filter(({ stage }) => stage === at).map(cellsOf);

/** The table of one stage in Markdown; by default, of the last stage that all runs have reached. */
export function comparisonMarkdown(comparison: Comparison, only?: number): string {
  const last = only ?? lastCommonStage(comparison.courses);
  const tasks = comparedTaskRows(comparison, last);
  return [
    ...markdownTable(COMPARED, comparedRows(comparison, last), 1),
    '',
    ...(tasks.length > 0 ? [...markdownTable(COMPARED_TASKS, tasks, 3), ''] : []),
    aboutStage(comparison, last),
  ].join('\n');
}

/** @param texts so many columns, from the first, are of text. */
function markdownTable(head: string[], rows: string[][], texts: number): string[] {
  const line = (cells: string[]) => `| ${cells.map(inMarkdown).join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i < texts ? '---' : '--:'))), ...rows.map(line)];
}

/** A label may have characters that would end a cell or begin a tag. */
const inMarkdown = (cell: string) => cell.replace(/[\\|<`*_]/g, '\\$&').replace(/\s+/g, ' ');

function cellsOf({ label, seeds, mean, standardError, difference, spearman, flops }: MethodStage): string[] {
  const value = (name: keyof MethodStage['mean']) =>
    loss(mean[name]) + (seeds.length > 1 ? ` \u00b1 ${loss(standardError[name])}` : '');
  return [
    label,
    count(seeds.length),
    value('referenceLoss'),
    differenceText(difference?.referenceLoss, seeds.length),
    value('heldOutLoss'),
    differenceText(difference?.heldOutLoss, seeds.length),
    value('mixedDomainLoss'),
    differenceText(difference?.mixedDomainLoss, seeds.length),
    spearman === undefined ? NOTHING : correlation(spearman),
    flops.toExponential(2),
  ];
}

const note = (baseline: string) =>
  'Losses in nats per token, mean \u00b1 standard error over seeds; ' +
  `differences to ${baseline}, taken before rounding, paired by seed${baseline === 'random' ? ' (a run with its own control, if it has one)' : ''}, ` +
  "with 95 % intervals (which span the bootstrap's and Student's t) and, where some seeds have no pair, the number of pairs in parentheses; " +
  'negative is better. Intervals are of what seeds change, on one set of passages. Spearman: the influence model on held-out probes. FLOPs: training and selection up to there.';

/** The note below a table of one stage. */
export const aboutStage = ({ stages, baseline, notes }: Comparison, stage: number) => {
  const hasTasks = stages.some((one) => one.stage === stage && one.tasks);
  return [`After stage ${stage}. ${note(baseline)}`, ...(hasTasks ? [ABOUT_TASKS] : []), ...notes].join('\n\n');
};

const COLORS = [
  '#2563eb',
  '#d97706',
  '#059669',
  '#c026d3',
  '#dc2626',
  '#0891b2',
  '#65a30d',
  '#7c3aed',
  '#475569',
  '#be123c',
];
const colorOf = (labels: string[], label: string) => COLORS[labels.indexOf(label) % COLORS.length]!;

/** The axes that a loss is plotted against. */
const AXES = [
  { key: 'tokens', name: 'training tokens', title: 'training tokens' },
  { key: 'flops', name: 'FLOPs, selection included', title: 'all operations, the selection\u2019s included' },
  { key: 'seconds', name: 'seconds of jobs', title: 'seconds of training and selection' },
] as const;

export function renderComparison(comparison: Comparison): string {
  const { runs, baseline, labels, courses, stages, notes } = comparison;
  const numbers = [...new Set(stages.map(({ stage }) => stage))];
  const last = lastCommonStage(courses);
  const hasTasks = stages.some(({ tasks }) => tasks);
  const axes = AXES.filter(({ key }) => courses.some(({ points }) => points.some((one) => one[key] !== undefined)));
  return page(
    `Comparison of ${howMany(runs.given)} \u2013 MATES`,
    html`<header><p class="eyebrow">MATES comparison</p><h1>${whichRuns(comparison)}</h1></header>
<section aria-labelledby="after"><h2 id="after">After each stage</h2>
${numbers.toReversed().map((stage) => stageTable(comparison, stage, stage === last))}
<p class="note">${note(baseline)}</p>${hasTasks && html`<p class="note">${ABOUT_TASKS}</p>`}${notes.map((sentence) => html`<p class="note"><b>${sentence}</b></p>`)}</section>
<section aria-labelledby="courses"><h2 id="courses">What it took</h2>
${legend(...labels.map((label) => ({ color: colorOf(labels, label), swatch: 'line' as const, label: lineName(courses, label) })))}
${(['referenceLoss', 'heldOutLoss'] as const).map((name) => axes.map((axis) => courseChart(comparison, name, axis)))}
</section>
`,
  );
}

const howMany = (runs: number) => `${count(runs)} ${plural(runs, 'run')}`;

/** Controls are not counted as given runs, though the row `random` may be made of controls. */
function whichRuns({ runs: { given, controlled } }: Comparison): string {
  if (controlled === 0) return howMany(given);
  if (controlled === given) return `${howMany(given)}, ${given === 1 ? '' : 'each '}with a control arm`;
  return `${howMany(given)}, ${count(controlled)} of them with a control arm`;
}

/** @param tasksOpen whether its tasks are shown without being asked for: they can make many rows. */
function stageTable(comparison: Comparison, stage: number, tasksOpen: boolean): Html {
  const rows = comparedTaskRows(comparison, stage);
  const tasks = rows.length > 0 && htmlTable(COMPARED_TASKS, rows, 3);
  return html`<h3>Stage ${stage}</h3>${htmlTable(COMPARED, comparedRows(comparison, stage), 1)}${
    tasksOpen || !tasks ? tasks : html`<details class="more"><summary>Zero-shot tasks</summary>${tasks}</details>`
  }`;
}

/** @param texts so many columns, from the first, are of text. */
function htmlTable(head: string[], rows: string[][], texts: number): Html {
  const text = (column: number) => column > 0 && column < texts && html` class="text"`;
  return html`<div class="scroll" tabindex="0"><table class="closing">
<thead><tr>${head.map((name, i) => html`<th scope="col"${text(i)}>${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...cells]) =>
      html`<tr><th scope="row">${first}</th>${cells.map((cell, i) => html`<td${text(i + 1)}>${withSpread(cell)}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}

/** An error or interval has a line of its own: side by side, those of three losses do not fit a page. */
function withSpread(cell: string): Content {
  const [, value, spread] = /^(\S+) ([[\u00b1].*)$/.exec(cell) ?? [];
  return spread === undefined ? cell : html`${value} <span class="spread">${spread}</span>`;
}

/** Explains the lines: the strong ones may be means over fewer seeds than the tables. */
function aboutLines(courses: readonly Course[]): string {
  const seeds = (some: readonly Course[]) => new Set(some.map(({ seed }) => seed)).size;
  const [drawn, all] = [seeds(onSharedSeeds(courses)), seeds(courses)];
  if (drawn === 0) return 'One line for each seed. No means are drawn, because no seed has all methods.';
  const those =
    drawn === all ? 'its seeds' : `the ${drawn === 1 ? 'seed' : `${count(drawn)} seeds`} that all methods have`;
  return `Thin: each seed; strong: the mean of a method over ${those}${drawn === all ? '' : '; the tables use all of its seeds'}.`;
}

/** A line's name, followed by the number of seeds in its mean if its row in the tables has more. */
function lineName(courses: readonly Course[], of: string): string {
  const seeds = (some: readonly Course[]) => some.filter(({ label }) => label === of).length;
  const [drawn, all] = [seeds(onSharedSeeds(courses)), seeds(courses)];
  return drawn === all ? of : `${of} (${count(drawn)} of ${count(all)} ${plural(all, 'seed')})`;
}

/** Each run a thin line, each method's mean a strong one. */
function courseChart(
  { labels, courses }: Comparison,
  name: 'referenceLoss' | 'heldOutLoss',
  { key, name: label, title }: (typeof AXES)[number],
): Html {
  const point = (one: CoursePoint) => ({ x: one[key], y: one.losses[name] });
  const what = name === 'referenceLoss' ? 'Reference loss' : 'Held-out loss';
  const shared = onSharedSeeds(courses);
  return figure(
    `${what} against ${title}`,
    aboutLines(courses),
    responsive((width, narrow) =>
      chart(`${what} in nats per token against ${title}, by method`, {
        width: Math.min(width, 720),
        height: narrow ? 260 : 380,
        marginLeft: 50,
        marginTop: 28,
        marginBottom: 42,
        inset: 10,
        x: { label, ticks: narrow ? 4 : 6, tickFormat: 's' },
        y: { label: 'loss (nats per token)', grid: true, ticks: 6 },
        marks: labels.flatMap((of) => {
          const isOwn = ({ label }: Course) => label === of;
          const color = colorOf(labels, of);
          return [
            ...courses
              .filter(isOwn)
              .map(({ points }) =>
                Plot.lineY(points.map(point), { x: 'x', y: 'y', stroke: color, strokeOpacity: 0.25 }),
              ),
            Plot.lineY(meanCourse(shared.filter(isOwn)).map(point), {
              x: 'x',
              y: 'y',
              stroke: color,
              strokeWidth: 2.5,
              marker: 'dot',
            }),
          ];
        }),
      }),
    ),
  );
}
