/**
 * Histograms that add up exactly. Every job picks its own bin width, a power of two, and counts from multiples of it. A
 * wider bin then consists of whole narrower ones, and the sum over jobs does not depend on how rows were dealt.
 */

/** A histogram has at most this many bins, and more than half as many unless the values are too close together. */
const BINS = 40;

/** Bin i counts values from (first + i) 2^exponent up to the next multiple of 2^exponent. */
export interface Grid {
  exponent: number;
  first: number;
  bins: number;
}

/** Finite values of one job: `counts` lie on the grid of `min` and `max`. */
export interface Histogram {
  min: number;
  max: number;
  counts: number[];
}

/** The narrowest grid that holds `min` to `max` in {@link BINS} bins; never narrower for a wider range. */
export function gridOf(min: number, max: number): Grid {
  // Bins need not be narrower than the spacing of float32 values, which have 24 significant bits.
  const finest = Math.max(-149, Math.floor(Math.log2(Math.max(Math.abs(min), Math.abs(max)))) - 23);
  let exponent = Math.max(finest, Math.floor(Math.log2((max - min) / BINS)) - 1);
  const lowest = () => Math.floor(min * 2 ** -exponent);
  const highest = () => Math.floor(max * 2 ** -exponent);
  while (highest() - lowest() >= BINS) exponent++;
  return { exponent, first: lowest(), bins: highest() - lowest() + 1 };
}

export function gridEdges({ exponent, first, bins }: Grid): number[] {
  return Array.from({ length: bins + 1 }, (_, i) => (first + i) * 2 ** exponent);
}

/** The bin of a finite value; the caller knows that the grid holds it. */
export function binOf({ exponent, first }: Grid, value: number): number {
  return Math.floor(value * 2 ** -exponent) - first;
}

/** Undefined when no value is finite: infinite ones have no bin. */
export function histogramOf(values: Float32Array): Histogram | undefined {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (min > max) return undefined;
  const grid = gridOf(min, max);
  const counts = new Array<number>(grid.bins).fill(0);
  for (const value of values) if (Number.isFinite(value)) counts[binOf(grid, value)]!++;
  return { min, max, counts };
}

/** The sum, on the grid of all the values; it is the same however the values are dealt to the parts. */
export function addHistograms(parts: Histogram[]): Histogram | undefined {
  if (parts.length === 0) return undefined;
  const min = parts.reduce((least, part) => Math.min(least, part.min), Infinity);
  const max = parts.reduce((most, part) => Math.max(most, part.max), -Infinity);
  const grid = gridOf(min, max);
  const counts = new Array<number>(grid.bins).fill(0);
  for (const part of parts) {
    const { exponent, first } = gridOf(part.min, part.max);
    part.counts.forEach((count, i) => {
      counts[Math.floor((first + i) * 2 ** (exponent - grid.exponent)) - grid.first]! += count;
    });
  }
  return { min, max, counts };
}
