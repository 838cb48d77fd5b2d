import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addHistograms,
  binOf,
  gridEdges,
  gridOf,
  type Histogram,
  histogramOf,
} from '../../core/selection/merging/histogram.ts';

const values = fc.array(
  fc.oneof(fc.float({ noNaN: true }), fc.float({ noNaN: true, min: Math.fround(9.99), max: Math.fround(10.01) })),
  { minLength: 1, maxLength: 200 },
);

describe('histograms', () => {
  it('add up to that of all values, however they were dealt', () => {
    fc.assert(
      fc.property(values, fc.array(fc.nat(4), { minLength: 1 }), (all, dealing) => {
        const parts: number[][] = [[], [], [], [], []];
        all.forEach((value, i) => {
          parts[dealing[i % dealing.length]!]!.push(value);
        });
        const histograms = parts.map((part) => histogramOf(Float32Array.from(part)));
        const sum = addHistograms(histograms.filter((part): part is Histogram => part !== undefined));
        expect(sum).toEqual(histogramOf(Float32Array.from(all)));
      }),
      { numRuns: 500 },
    );
  });

  it('have at most 40 bins of equal width that hold every value', () => {
    fc.assert(
      fc.property(values, (all) => {
        const finite = all.filter(Number.isFinite).map(Math.fround);
        fc.pre(finite.length > 0);
        const grid = gridOf(Math.min(...finite), Math.max(...finite));
        const edges = gridEdges(grid);
        expect(grid.bins).toBeLessThanOrEqual(40);
        for (const value of finite) {
          const bin = binOf(grid, value);
          expect(edges[bin]! <= value && value < edges[bin + 1]!).toBe(true);
        }
      }),
    );
  });

  it('have 20 bins or more over an ordinary range', () => {
    for (const width of [1e-6, 0.7, 1, 3, 1000]) expect(gridOf(-width, width).bins).toBeGreaterThanOrEqual(20);
  });
});
