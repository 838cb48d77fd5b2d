/** Draws Observable Plot charts without a browser, as strict XML with rounded numbers: the same bytes everywhere. */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Content, escapeText, Html, html } from '../html.ts';

export { Plot };

const { document } = parseHTML('<!doctype html><html><body></body></html>');

/** The part of the DOM that serialising needs. */
interface Node {
  nodeType: number;
  localName: string;
  textContent: string;
  attributes: Iterable<{ name: string; value: string }>;
  childNodes: Iterable<Node>;
}

/** One chart as an inline SVG; `label` describes it to those who cannot see it. */
export function chart(label: string, options: Plot.PlotOptions): Html {
  const svg = Plot.plot({
    document: document as unknown as NonNullable<Plot.PlotOptions['document']>,
    className: 'chart',
    style: { fontSize: '12px' },
    ariaLabel: label,
    ...options,
    x: { labelAnchor: 'center', labelArrow: 'none', ...options.x },
    y: { labelArrow: 'none', ...options.y },
  }) as unknown as Node;
  return new Html(serialize(svg, ' role="img"'));
}

/**
 * A chart drawn twice, for wide and for narrow screens. The style sheet shows one of them: text is never scaled down.
 */
export function responsive(draw: (width: number, narrow: boolean) => Content): Html {
  return html`<div class="wide">${draw(1000, false)}</div><div class="narrow">${draw(360, true)}</div>`;
}

export function figure(title: string, note: Content, body: Content): Html {
  return html`<figure><figcaption>${title}${note && html`<small>${note}</small>`}</figcaption>${body}</figure>`;
}

/** Marks of a legend: what is drawn, not only its colour. */
export type Swatch = 'line' | 'dashed' | 'dot' | 'ring' | 'bar' | 'diamond';

export function legend(...entries: { color: string; swatch: Swatch; label: string }[]): Html {
  return html`<ul class="legend">${entries.map(({ color, swatch, label }) => html`<li>${mark(swatch, color)}${label}</li>`)}</ul>`;
}

function mark(swatch: Swatch, color: string): Html {
  const shapes: Record<Swatch, Html> = {
    line: html`<path d="M0 6H18" stroke="${color}" stroke-width="2.5" fill="none"/>`,
    dashed: html`<path d="M0 6H18" stroke="${color}" stroke-width="2.5" stroke-dasharray="5 3" fill="none"/>`,
    dot: html`<circle cx="9" cy="6" r="5" fill="${color}"/>`,
    ring: html`<circle cx="9" cy="6" r="4" fill="var(--surface)" stroke="${color}" stroke-width="2"/>`,
    bar: html`<rect x="3" y="0" width="12" height="12" fill="${color}"/>`,
    diamond: html`<path d="M9 0L15 6L9 12L3 6Z" fill="var(--surface)" stroke="${color}" stroke-width="2"/>`,
  };
  return html`<svg width="18" height="12" viewBox="0 0 18 12" aria-hidden="true">${shapes[swatch]}</svg>`;
}

/**
 * Strict XML, unlike `outerHTML`. Numbers keep two decimals: they are pixels, and the last bits of a float differ between
 * machines. Plot's own style element is left out; the page has one for all charts.
 */
function serialize(node: Node, extra = ''): string {
  if (node.nodeType === 3) return escapeText(node.textContent);
  if (node.nodeType !== 1 || node.localName === 'style') return '';
  const attributes = [...node.attributes]
    .map(({ name, value }) => ` ${name}="${escapeText(rounded(name, value))}"`)
    .join('');
  const children = [...node.childNodes].map((child) => serialize(child)).join('');
  return `<${node.localName}${extra}${attributes}${children ? `>${children}</${node.localName}>` : '/>'}`;
}

const rounded = (name: string, value: string) =>
  name === 'aria-label' ? value : value.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(+(+number).toFixed(2)));
