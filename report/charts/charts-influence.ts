/** How good the influence model was, and how it scored the candidate pool. */
import type { RunConfig } from '../../core/config/schema.ts';
import { plural } from '../../core/plural.ts';
import type { StageReport } from '../data.ts';
import { correlation, count, interval, NOTHING } from '../format.ts';
import { type Html, html } from '../html.ts';
import { PANELS, spread, spreadNote, stageTicks } from '../stages.ts';
import { aboutUtility, utilityLabel } from '../utility.ts';
import { chart, figure, legend, Plot, responsive } from './plot.ts';

/** Agreement with measured influence as a chart and a table, then the progress of each fit; undefined before the first fit. */
export function influenceModel(stages: StageReport[]): Html | undefined {
  const chart = spearmanChart(stages);
  return chart && html`<div class="pair">${chart}${fitTable(stages)}</div>${validationCharts(stages)}`;
}

function fitTable(stages: StageReport[]): Html {
  const fitted = stages.filter(({ fit }) => fit);
  const shown = spread(fitted, 8);
  const note = spreadNote(shown.length, fitted.length);
  const row = ({ stage, fit }: StageReport) =>
    fit &&
    html`<tr><th scope="row">${stage}</th><td>${correlation(fit.spearman)} <span class="muted">${interval(fit.spearmanInterval)}</span></td>
<td>${optional(fit.freshSpearman)}</td><td>${optional(fit.staleSpearman)}</td><td>${correlation(fit.pearson)}</td>
<td>${count(fit.documents.fit)}${fit.documents.earlier ? ` + ${count(fit.documents.earlier)}` : ''} / ${count(fit.documents.validation)} / ${count(fit.documents.test)}</td></tr>`;
  return html`<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">stage</th><th scope="col">Spearman</th><th scope="col">fresh</th><th scope="col">stale</th><th scope="col">Pearson</th><th scope="col">rows: fit + earlier<br>/ stop / test</th></tr></thead>
<tbody>${shown.map(row)}</tbody></table>${note && html`<p class="note">${note}</p>`}</div>`;
}

const optional = (value?: number) => (value === undefined ? NOTHING : correlation(value));

/**
 * Spearman of predicted and measured influence per stage, with its interval. Two models on the same rows, beside it,
 * show drift.
 */
function spearmanChart(stages: StageReport[]): Html | undefined {
  const fits = stages.flatMap(({ stage, fit }) =>
    fit ? [{ stage, ...fit, low: fit.spearmanInterval[0], high: fit.spearmanInterval[1] }] : [],
  );
  if (fits.length === 0) return undefined;
  const onUnseen = (field: 'freshSpearman' | 'staleSpearman') =>
    fits.flatMap(({ stage, [field]: spearman }) => (spearman === undefined ? [] : [{ stage, spearman }]));
  const [fresh, stale] = [onUnseen('freshSpearman'), onUnseen('staleSpearman')];
  const low = Math.min(-0.1, ...fits.map((fit) => fit.low), ...[...fresh, ...stale].map((fit) => fit.spearman));
  return figure(
    'Agreement with measured influence on test documents',
    'Bars: bootstrap interval. At zero the model ranks documents no better than chance.',
    html`${legend(
      { color: 'var(--main)', swatch: 'dot', label: 'This stage\u2019s model' },
      ...(fresh.length
        ? [{ color: 'var(--main)', swatch: 'diamond' as const, label: 'The same on rows new to both (fresh)' }]
        : []),
      ...(stale.length
        ? [{ color: 'var(--muted)', swatch: 'diamond' as const, label: 'Previous stage\u2019s model (stale)' }]
        : []),
    )}${responsive((width) =>
      chart('Spearman correlation of predicted with measured influence, per stage', {
        width: Math.min(width, 480),
        height: 270,
        marginLeft: 46,
        marginTop: 28,
        marginBottom: 40,
        inset: 10,
        x: {
          domain: [0.5, stages.length - 0.5],
          ticks: stageTicks(stages).filter((k) => k > 0),
          tickFormat: 'd',
          label: 'stage',
        },
        y: {
          domain: [low, 1],
          label: 'Spearman correlation',
          ticks: 6,
          grid: true,
        },
        marks: [
          Plot.ruleY([0], { stroke: 'var(--ink)' }),
          Plot.ruleX(fits, { x: 'stage', y1: 'low', y2: 'high', stroke: 'var(--main)', strokeWidth: 2.5 }),
          onUnseenDots(fresh, 'var(--main)', 'on rows new to both'),
          onUnseenDots(stale, 'var(--muted)', 'previous model'),
          Plot.dot(fits, {
            x: 'stage',
            y: 'spearman',
            r: 5,
            fill: 'var(--main)',
            title: (d) => `stage ${d.stage}: ${correlation(d.spearman)} ${interval(d.spearmanInterval)}`,
          }),
        ],
      }),
    )}`,
  );
}

/** Dots beside the stage's own: measured on rows that the previous stage's model has not seen. */
function onUnseenDots(fits: { stage: number; spearman: number }[], stroke: string, what: string) {
  return Plot.dot(fits, {
    x: 'stage',
    y: 'spearman',
    symbol: 'diamond',
    r: 5,
    fill: 'var(--surface)',
    stroke,
    strokeWidth: 2,
    dx: 12,
    title: (d) => `stage ${d.stage}, ${what}: ${correlation(d.spearman)}`,
  });
}

/** Validation Spearman by epoch, one panel per stage, all on one scale; the epoch that was kept is marked. */
function validationCharts(stages: StageReport[]): Html | undefined {
  const fitted = stages.flatMap(({ stage, fit }) =>
    fit?.epochs?.length ? [{ stage, fit: { ...fit, epochs: fit.epochs } }] : [],
  );
  if (fitted.length === 0) return undefined;
  const shown = spread(fitted, PANELS);
  const values = shown.flatMap(({ fit }) => fit.epochs.map((epoch) => epoch.validationSpearman));
  const domain = [Math.min(0, ...values), Math.max(0.1, ...values)];
  return html`<h3>Validation Spearman by epoch</h3><p class="note">The epoch that was kept is marked.${spreadNote(shown.length, fitted.length)}</p>
<div class="panels">${shown.map(({ stage, fit }) =>
    figure(
      `Stage ${stage}`,
      `epoch ${fit.bestEpoch} of ${fit.epochs.length} kept`,
      chart(`Stage ${stage}: validation Spearman after each epoch`, {
        width: 330,
        height: 190,
        marginLeft: 44,
        marginTop: 26,
        marginBottom: 40,
        x: {
          label: 'epoch',
          ticks: wholeTicks(fit.epochs.map(({ epoch }) => epoch)),
          tickFormat: 'd',
          inset: 8,
        },
        y: { domain, label: 'Spearman', ticks: 4, grid: true },
        marks: [
          Plot.ruleY([0], { stroke: 'var(--muted)' }),
          Plot.lineY(fit.epochs, { x: 'epoch', y: 'validationSpearman', stroke: 'var(--main)', strokeWidth: 2 }),
          Plot.dot(
            fit.epochs.filter(({ epoch }) => epoch === fit.bestEpoch),
            {
              x: 'epoch',
              y: 'validationSpearman',
              r: 5,
              fill: 'var(--main)',
              title: (d) => `epoch ${d.epoch}: ${correlation(d.validationSpearman)}`,
            },
          ),
        ],
      }),
    ),
  )}</div>`;
}

function wholeTicks(epochs: number[]): number[] {
  const every = Math.ceil(epochs.length / 8);
  return epochs.filter((_, i) => i % every === 0);
}

/** Utilities of the pool and of the rows selected from it, one panel per stage. */
export function histogramCharts(stages: StageReport[], config: RunConfig): Html | undefined {
  const known = stages.flatMap(({ stage, main }) =>
    main.selection?.histogram ? [{ stage, histogram: main.selection.histogram, selection: main.selection }] : [],
  );
  if (known.length === 0) return undefined;
  const shown = spread(known, PANELS);
  return html`${legend(
    { color: 'var(--pool)', swatch: 'bar', label: 'Candidate pool' },
    { color: 'var(--main)', swatch: 'bar', label: 'Selected from it' },
  )}<div class="panels">${shown.map(({ stage, histogram, selection }) => {
    const bins = trim(histogram);
    return figure(
      `Stage ${stage}`,
      `${count(selection.selectedRows)} of ${count(selection.poolRows)} ${plural(selection.poolRows, 'row')}`,
      chart(`Stage ${stage}: histogram of utility for the candidate pool and the selection`, {
        width: 330,
        height: 220,
        marginLeft: 50,
        marginTop: 28,
        marginBottom: 40,
        x: { label: utilityLabel(selection, config), ticks: 5 },
        y: { label: 'rows', ticks: 4, grid: true, tickFormat: count },
        marks: [
          Plot.rectY(bins, {
            x1: 'low',
            x2: 'high',
            y: 'pool',
            fill: 'var(--pool)',
            fillOpacity: 0.55,
            inset: 0.5,
            title: (d) => `${count(d.pool)} ${plural(d.pool, 'row')} in the pool, ${count(d.selected)} selected`,
          }),
          Plot.rectY(bins, {
            x1: 'low',
            x2: 'high',
            y: 'selected',
            fill: 'var(--main)',
            inset: 0.5,
            title: (d) => `${count(d.selected)} of ${count(d.pool)} ${plural(d.pool, 'row')} selected`,
          }),
          Plot.ruleY([0]),
        ],
      }),
    );
  })}</div><p class="note">${aboutUtility(known, config)}${spreadNote(shown.length, known.length)}</p>`;
}

/** The bins without the empty ones at either end. */
function trim({ edges, pool, selected }: { edges: number[]; pool: number[]; selected: number[] }) {
  const bins = pool.map((rows, i) => ({ low: edges[i]!, high: edges[i + 1]!, pool: rows, selected: selected[i] ?? 0 }));
  const first = bins.findIndex((bin) => bin.pool > 0);
  const last = bins.findLastIndex((bin) => bin.pool > 0);
  return first < 0 ? bins : bins.slice(first, last + 1);
}
