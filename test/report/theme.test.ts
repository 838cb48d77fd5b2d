import { describe, expect, it } from 'vitest';
import { dark, light, type Palette, styles } from '../../report/charts/theme.ts';

type Rgb = [number, number, number];

/** Linear-light red, green and blue of `#rrggbb`. */
function linear(color: string): Rgb {
  const channel = (at: number) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

const luminance = ([r, g, b]: Rgb) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

/** WCAG 2 contrast ratio. */
function contrast(a: string, b: string): number {
  const [low, high] = [luminance(linear(a)), luminance(linear(b))].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Full dichromacy after Machado, Oliveira and Fernandes 2009, on linear light. */
const DICHROMACY = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};

const see = (matrix: number[][], color: string): Rgb => {
  const rgb = linear(color);
  return matrix.map((row) => row.reduce((sum, weight, i) => sum + weight * rgb[i]!, 0)) as Rgb;
};

/** Distance in CIELAB (D65), 1976. */
function distance(a: Rgb, b: Rgb): number {
  const lab = ([r, g, b]: Rgb) => {
    const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (t * 24389) / 27 / 116 + 16 / 116);
    const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const y = f(luminance([r, g, b]));
    const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };
  const [p, q] = [lab(a), lab(b)];
  return Math.hypot(...p.map((value, i) => value - q[i]!));
}

describe.each([
  ['light', light],
  ['dark', dark],
] as [string, Palette][])('%s colours', (_, palette) => {
  it.each(['ink', 'muted', 'main', 'good', 'warn'] as const)('%s is readable as text', (role) => {
    expect(contrast(palette[role], palette.surface)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(palette[role], palette.page)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(['main', 'control', 'pool'] as const)('%s stands out as a graphic', (role) => {
    expect(contrast(palette[role], palette.surface)).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(DICHROMACY))('the runs differ under %s', (_, matrix) => {
    expect(distance(see(matrix, palette.main), see(matrix, palette.control))).toBeGreaterThan(40);
  });
});

it('leaves room for the widest tables, as measured in the wide letters of DejaVu Sans', () => {
  const [, width] = /main\{max-width:(\d+)px/.exec(styles)!;
  const paddings = 2 * 24 + 2 * 24 + 2; // of main and of a section, and its border
  expect(Number(width) - paddings).toBeGreaterThanOrEqual(1123); // compare.html with intervals
  const [, pair] = /\.pair\{[^}]*minmax\(min\(100%,(\d+)px\)/.exec(styles)!;
  expect(Number(pair)).toBeGreaterThanOrEqual(531); // the influence model's
});
