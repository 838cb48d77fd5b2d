import { shorten } from './format.ts';

/** A piece of finished markup; everything else that enters a template is escaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Html | string | number | undefined | false | readonly Content[];

/** Tagged template that escapes each value unless it is {@link Html}; lists are joined, `undefined` and `false` are left out. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Html {
  return new Html(strings.reduce((text, part, i) => text + render(values[i - 1]) + part));
}

function render(value: Content): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  return escapeText(String(value));
}

/** Text that means itself in HTML and in XML, inside elements and inside quoted attributes. */
export function escapeText(text: string): string {
  return stripControls(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Control characters and lone surrogates, which neither HTML nor XML can hold, become U+FFFD. */
function stripControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/\p{Surrogate}|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/gu, '\ufffd');
}

/** A name in at most `length` characters; if it is longer, the whole name is its title. */
export function shortName(name: string, length: number): Content {
  const short = shorten(name, length);
  return short === name ? name : html`<span title="${name}">${short}</span>`;
}
