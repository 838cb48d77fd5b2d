import { printable } from '../core/printable.ts';

/** One way to write each kind of number, the same in tables, charts and sentences. */

const MINUS = '\u2212';
export const NOTHING = '\u2013';

const grouped = (digits: string) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',');

/** Fixed decimals with a true minus sign, and never a negative zero. */
function fixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : `${value < 0 ? MINUS : ''}\u221e`;
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

const signed = (value: number, decimals: number) => {
  const text = fixed(value, decimals);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
};

/** A loss in nats per token. */
export const loss = (value: number) => fixed(value, 3);
export const lossDifference = (value: number) => signed(value, 3);
export const correlation = (value: number) => fixed(value, 2);
export const utility = (value: number) =>
  value !== 0 && Math.abs(value) < 0.01 ? scientific(value) : signed(value, 3);
export const count = (value: number) => grouped(fixed(value, 0));
export const percent = (share: number) => `${fixed(100 * share, 1)}%`;
/** A difference of two shares: `+1.3%`. */
export const percentagePoints = (difference: number) => `${signed(100 * difference, 1)}%`;
/** About three digits; in scientific notation if it is large. */
export const perplexity = (value: number) =>
  value >= 1e5
    ? value.toExponential(1).replace('e+', 'e')
    : grouped(fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0));
/** For sentences: `20%`, not `20.0%`. */
export const plainPercent = (share: number) => `${Number((100 * share).toFixed(1))}%`;
export const lift = (ratio: number) => `\u00d7${fixed(ratio, ratio < 10 ? 2 : 0)}`;
export const interval = ([low, high]: readonly [number, number]) => `[${correlation(low)}, ${correlation(high)}]`;

function scientific(value: number): string {
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  return `${signed(value / 10 ** exponent, 1)}e${exponent < 0 ? MINUS : ''}${Math.abs(exponent)}`;
}

/** `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (seconds < 10) return `${fixed(seconds, 1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${count(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** At most `length` characters, cut between words if there is a space near the end; the cut is marked. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length - 1);
  const space = cut.search(/\s\S*$/);
  return `${(space > length * 0.7 ? cut.slice(0, space) : cut).replace(/\p{Surrogate}$/u, '')}\u2026`;
}

/** At most `length` characters of a name, cut in the middle and marked there; both ends are kept, and control characters written out. */
export function shorten(text: string, length: number): string {
  const name = printable(text);
  if (name.length <= length) return name;
  const end = Math.floor((length - 1) / 2);
  const begin = name.slice(0, length - 1 - end).replace(/\p{Surrogate}$/u, '');
  return `${begin}\u2026${name.slice(name.length - end).replace(/^\p{Surrogate}/u, '')}`;
}
