/** What was selected, domain by domain, and how each domain's loss changed. */
import { MIXED_DOMAIN } from '../../core/corpus/packing/pack.ts';
import type { ArmNames } from '../arms.ts';
import { controlEvaluation, type StageReport } from '../data.ts';
import { shownDifference } from '../difference.ts';
import { lift, loss, lossDifference, percent, shorten, truncate } from '../format.ts';
import { type Html, html, shortName } from '../html.ts';
import { spread, spreadNote } from '../stages.ts';
import { ARM_COLORS, armLegend } from './charts-training.ts';
import { chart, figure, legend, Plot, responsive } from './plot.ts';

/** Most rows of a domain chart; the smallest domains are drawn as one. */
const MAX_DOMAINS = 20;

const LABEL_LENGTH = 20;
/** Pixels for that many characters of a domain's name. */
const LABEL_MARGIN = 140;

/** Most stages side by side in one chart: more would leave no room for the ticks. */
const FACETS = 4;

interface DomainShares {
  stage: number;
  shares: Map<string, { pool: number; selected: number }>;
}

/** Each domain's share of the rows of the pool and of the selection, by stage. */
function domainShares(stages: StageReport[]): DomainShares[] {
  return stages.flatMap(({ stage, plan, main: { selection } }) => {
    if (!selection || !plan?.scored) return [];
    const pool = sum(Object.values(selection.poolDomains));
    const selected = sum(Object.values(selection.selectedDomains));
    const shares = new Map(
      Object.entries(selection.poolDomains).map(([domain, rows]) => [
        domain,
        { pool: rows / pool, selected: (selection.selectedDomains[domain] ?? 0) / Math.max(1, selected) },
      ]),
    );
    return [{ stage, shares }];
  });
}

/** Domains by their mean share of the pools, largest first; the same order in every chart and table. */
function domainOrder(stages: DomainShares[]): string[] {
  const total = new Map<string, number>();
  for (const { shares } of stages)
    for (const [domain, { pool }] of shares) total.set(domain, (total.get(domain) ?? 0) + pool);
  return [...total].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([domain]) => domain);
}

/**
 * Share of the pool and of the selection by domain, and how it changes from stage to stage: a chart and a table of
 * lifts.
 */
export function selectionByDomain(stages: StageReport[]): Html | undefined {
  const all = domainShares(stages);
  if (all.length === 0) return undefined;
  const order = domainOrder(all);
  const drawn = spread(all, FACETS);
  const kept = order.slice(0, order.length > MAX_DOMAINS ? MAX_DOMAINS - 1 : MAX_DOMAINS);
  const label = labels(kept);
  const other = `other (${order.length - kept.length} domains)`;
  const points = drawn.flatMap(({ stage, shares }) => {
    const named = kept.map((domain) => ({
      stage,
      domain,
      name: label.get(domain)!,
      ...(shares.get(domain) ?? { pool: 0, selected: 0 }),
    }));
    if (kept.length === order.length) return named;
    const rest = order.slice(kept.length).map((domain) => shares.get(domain) ?? { pool: 0, selected: 0 });
    return [
      ...named,
      {
        stage,
        domain: other,
        name: other,
        pool: sum(rest.map((d) => d.pool)),
        selected: sum(rest.map((d) => d.selected)),
      },
    ];
  });
  const names = [...label.values(), ...(kept.length < order.length ? [other] : [])];
  const most = Math.max(...points.flatMap((d) => [d.pool, d.selected]));
  const draw = (data: typeof points, width: number, faceted: boolean) =>
    chart('Share of the candidate pool and share of the selection by domain, per stage', {
      width,
      height: 24 * names.length + (faceted ? 84 : 64),
      marginLeft: LABEL_MARGIN,
      marginRight: 14,
      marginTop: faceted ? 34 : 12,
      marginBottom: 44,
      fx: faceted ? { label: null, tickFormat: (stage: number) => `stage ${stage}`, padding: 0.16 } : undefined,
      x: {
        domain: [0, most * 104],
        percent: true,
        label: 'share of rows (%)',
        ticks: 3,
        grid: true,
      },
      y: { domain: names, axis: null },
      marks: [
        domainAxis(label),
        Plot.ruleY(data, {
          ...facet(faceted),
          y: 'name',
          x1: 'pool',
          x2: 'selected',
          stroke: 'var(--pool)',
          strokeWidth: 3,
          strokeOpacity: 0.6,
        }),
        Plot.dot(data, {
          ...facet(faceted),
          y: 'name',
          x: 'pool',
          r: 4,
          fill: 'var(--surface)',
          stroke: 'var(--pool)',
          strokeWidth: 2,
          title: (d) => `${d.domain}, stage ${d.stage}: ${percent(d.pool)} of the pool`,
        }),
        Plot.dot(data, {
          ...facet(faceted),
          y: 'name',
          x: 'selected',
          r: 5,
          fill: 'var(--main)',
          title: (d) => `${d.domain}, stage ${d.stage}: ${percent(d.selected)} of the selection`,
        }),
      ],
    });
  return html`${figure(
    'From the pool to the selection',
    `A line from each domain\u2019s share of the candidate pool to its share of the selection.${spreadNote(drawn.length, all.length)}`,
    html`${legend(
      { color: 'var(--pool)', swatch: 'ring', label: 'Share of the pool' },
      { color: 'var(--main)', swatch: 'dot', label: 'Share of the selection' },
    )}${responsive((width, narrow) =>
      narrow
        ? drawn.map(
            ({ stage }) =>
              html`<h3>Stage ${stage}</h3>${draw(
                points.filter((d) => d.stage === stage),
                width,
                false,
              )}`,
          )
        : draw(points, Math.min(width, 140 + 300 * drawn.length), true),
    )}`,
  )}${liftTable(all, order)}${mixedNote(order)}`;
}

/** The loss over all domains is called mixed too, so the domain of that name needs an explanation. */
const mixedNote = (domains: readonly string[]) =>
  domains.includes(MIXED_DOMAIN) &&
  html`<p class="note">The domain ${MIXED_DOMAIN} is made of the rows that join documents of several domains. The mixed-domain loss is not its loss, but the mean over all domains.</p>`;

const facet = (faceted: boolean) => (faceted ? { fx: 'stage' } : {});

/** Lift (share of the selection over share of the pool) of every domain in every stage, shaded by its logarithm. */
function liftTable(stages: DomainShares[], order: string[]): Html {
  const shown = spread(stages, 8);
  const table = html`<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col" rowspan="2">domain</th>${shown.map(({ stage }) => html`<th scope="colgroup" colspan="3">stage ${stage}</th>`)}</tr>
<tr>${shown.map(() => html`<th scope="col">pool</th><th scope="col">selection</th><th scope="col">lift</th>`)}</tr></thead>
<tbody>${order.map(
    (domain) =>
      html`<tr>${domainCell(domain)}${shown.map(({ shares }) => {
        const share = shares.get(domain);
        if (!share) return html`<td></td><td></td><td></td>`;
        return html`<td>${percent(share.pool)}</td><td>${percent(share.selected)}</td>${liftCell(share.selected / share.pool)}`;
      })}</tr>`,
  )}</tbody></table></div>`;
  return figure(
    'Lift',
    `Share of the selection over share of the pool.${spreadNote(shown.length, stages.length)}`,
    table,
  );
}

function liftCell(ratio: number): Html {
  const amount = Math.min(1, Math.abs(Math.log2(Math.max(ratio, 1 / 16))) / 3);
  const color = ratio >= 1 ? 'var(--main)' : 'var(--control)';
  return html`<td class="heat" style="--heat:${color};--amount:${Math.round(amount * 45)}%">${lift(ratio)}</td>`;
}

/** Each domain's hold-out loss for both arms at the last stage that has one: a chart and a table, best change first. */
export function domainLosses(stages: StageReport[], names: ArmNames): Html | undefined {
  const last = stages.findLast(({ main }) => main.evaluation);
  if (!last?.main.evaluation) return undefined;
  const control = last.main.evaluation === controlEvaluation(last) ? undefined : controlEvaluation(last);
  const rows = Object.entries(last.main.evaluation.domainLoss)
    .map(([domain, main]) => ({ domain, rows: main.rows, main: main.loss, control: control?.domainLoss[domain]?.loss }))
    .sort((a, b) => change(a) - change(b) || a.main - b.main || (a.domain < b.domain ? -1 : 1));
  if (rows.length === 0) return undefined;
  // Of many, those that gained most and those that lost most.
  const shown = rows.length > MAX_DOMAINS ? [...rows.slice(0, MAX_DOMAINS / 2), ...rows.slice(-MAX_DOMAINS / 2)] : rows;
  const label = labels(shown.map(({ domain }) => domain));
  const drawn = shown.map((row) => ({ ...row, name: label.get(row.domain)! }));
  const pairs = drawn.filter((row) => row.control !== undefined);
  const order = pairs.length > 0 ? 'the difference, best first' : 'their loss';
  const some =
    shown === rows
      ? ''
      : ` The first and the last ${MAX_DOMAINS / 2} of ${rows.length} are drawn; all are in the table.`;
  const draw = (width: number) =>
    chart(`Loss on each domain's hold-out rows after stage ${last.stage}, for both arms`, {
      width,
      height: 24 * drawn.length + 64,
      marginLeft: LABEL_MARGIN,
      marginRight: 20,
      marginTop: 12,
      marginBottom: 44,
      x: {
        label: 'loss (nats per token)',
        nice: true,
        grid: true,
        ticks: width < 500 ? 4 : 8,
      },
      y: { domain: [...label.values()], axis: null },
      marks: [
        domainAxis(label),
        Plot.ruleY(pairs, { y: 'name', x1: 'main', x2: 'control', stroke: 'var(--pool)', strokeWidth: 2.5 }),
        Plot.dot(pairs, {
          y: 'name',
          x: 'control',
          r: 4,
          fill: 'var(--surface)',
          stroke: ARM_COLORS.control,
          strokeWidth: 2,
          title: (d) => `${d.domain}, ${names.control}: ${loss(d.control)}`,
        }),
        Plot.dot(drawn, {
          y: 'name',
          x: 'main',
          r: 5,
          fill: ARM_COLORS.main,
          title: (d) => `${d.domain}, ${names.main}: ${loss(d.main)}`,
        }),
      ],
    });
  return html`${figure(
    `Loss by domain after stage ${last.stage}`,
    `Hold-out rows that were not probed. Domains in order of ${order}.${some}`,
    html`${armLegend(pairs.length > 0, names)}${responsive((width) => draw(Math.min(width, 800)))}`,
  )}${mixedNote(rows.map(({ domain }) => domain))}<details><summary>The same as a table</summary><div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">domain</th><th scope="col">rows</th><th scope="col">${names.main.toLowerCase()}</th>${control && html`<th scope="col">${names.control.toLowerCase()}</th><th scope="col">difference</th>`}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${domainCell(row.domain)}<td>${row.rows}</td><td>${loss(row.main)}</td>${
        row.control !== undefined &&
        html`<td>${loss(row.control)}</td><td>${lossDifference(shownDifference(row.main, row.control))}</td>`
      }</tr>`,
  )}</tbody></table></div></details>`;
}

const change = (row: { main: number; control?: number }) => (row.control === undefined ? 0 : row.main - row.control);

const domainCell = (domain: string) => html`<th class="name" scope="row">${shortName(domain, 40)}</th>`;

/**
 * Names that are short enough for an axis and still unique. Those that would be cut to the same text are shown from
 * where they begin to differ, and with a number in front if that does not tell them apart.
 */
function labels(domains: string[]): Map<string, string> {
  const taken = new Set<string>();
  return new Map(
    domains.map((domain) => {
      const cut = shorten(domain, LABEL_LENGTH);
      const alike = domains.filter((other) => shorten(other, LABEL_LENGTH) === cut);
      const short = alike.length > 1 ? fromDifference(domain, alike) : cut;
      let name = short;
      for (let n = 2; taken.has(name); n++) name = `(${n}) ${shorten(short, LABEL_LENGTH - 4)}`;
      taken.add(name);
      return [domain, name];
    }),
  );
}

/** The part of a name that begins shortly before it differs from those like it. */
function fromDifference(name: string, alike: string[]): string {
  const characters = [...name];
  const others = alike.map((other) => [...other]);
  const differ = characters.findIndex((character, i) => others.some((other) => other[i] !== character));
  return `\u2026${truncate(characters.slice(Math.max(0, differ - 6)).join(''), LABEL_LENGTH - 1)}`;
}

/** An axis of domains by their labels, each with the domain's whole name as its title. */
function domainAxis(label: Map<string, string>) {
  const whole = new Map([...label].map(([domain, name]) => [name, domain]));
  return Plot.axisY({ label: null, tickSize: 0, title: (name: string) => whole.get(name) ?? name });
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
