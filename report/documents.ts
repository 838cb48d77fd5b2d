/** The best and worst rows of each stage's pool, with their text. */
import type { ExtremeDocument } from '../core/formats.ts';
import type { StageReport } from './data.ts';
import { count, truncate, utility } from './format.ts';
import { type Html, html, shortName } from './html.ts';
import { PANELS, spread, spreadNote } from './stages.ts';

const EXCERPT = 240;

/** One section a stage: the last one open, earlier ones folded. Undefined before the first scores. */
export function extremeDocuments(stages: StageReport[]): Html | undefined {
  const scored = stages.flatMap(({ stage, main: { selection } }) =>
    selection?.extremes ? [{ stage, extremes: selection.extremes }] : [],
  );
  if (scored.length === 0) return undefined;
  const shown = spread(scored, PANELS).reverse();
  return html`<p class="note">Of all rows of the stage\u2019s candidate pool, by utility; higher is better.${spreadNote(shown.length, scored.length)}</p>
${shown.map(
  (
    { stage, extremes },
    i,
  ) => html`<details class="part"${i === 0 && html` open`}><summary>Stage ${stage}</summary><div class="documents">
<div><h3>Highest utility</h3>${list(extremes.highest)}</div>
<div><h3>Lowest utility</h3>${list(extremes.lowest)}</div></div></details>`,
)}`;
}

const list = (rows: ExtremeDocument[]) => html`<ol>${rows.map(item)}</ol>`;

function item({ row, utility: value, domain, text }: ExtremeDocument): Html {
  const excerpt = truncate(text.trim().replace(/\s+/g, ' '), EXCERPT);
  const whole = text.length > EXCERPT;
  return html`<li><div class="about"><b>${utility(value)}</b><span class="tag">${shortName(domain, 40)}</span><span>row ${count(row)}</span></div>
<p class="excerpt">${excerpt}</p>${whole && html`<details class="more"><summary>Show more</summary><div class="excerpt"><pre>${text}</pre></div></details>`}</li>
`;
}
