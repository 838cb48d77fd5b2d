import fc from 'fast-check';
import { expect, it } from 'vitest';
import { solveShifted } from '../../core/regression/shifted-cg.ts';

const reals = (length: number) =>
  fc.array(
    fc.integer({ min: -2000, max: 2000 }).map((value) => value / 1000),
    { minLength: length, maxLength: length },
  );
const product = (a: number[], b: ArrayLike<number>) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

it('solves for every shift, of a matrix that may be singular', () => {
  const factor = fc.integer({ min: 1, max: 8 }).chain((n) => fc.array(reals(n), { minLength: 1, maxLength: 8 }));
  const shift = fc.constantFrom(0.05, 0.3, 1, 7, 100, 1e4);
  fc.assert(
    fc.property(factor, reals(8), fc.array(shift, { minLength: 1, maxLength: 6 }), (f, right, shifts) => {
      const n = f[0]!.length;
      const matrix = Array.from({ length: n }, (_, i) =>
        Array.from({ length: n }, (_, j) => f.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
      );
      const times = (p: Float64Array, result: Float64Array) => result.set(matrix.map((row) => product(row, p)));
      const b = Float64Array.from(right.slice(0, n));
      const { solutions, iterations } = solveShifted(times, b, shifts, { tolerance: 1e-11, maxIterations: 200 });
      expect(iterations).toBeLessThan(200);
      const size = Math.max(...b.map(Math.abs));
      shifts.forEach((s, i) => {
        const x = solutions[i]!;
        const residual = matrix.map((row, j) => product(row, x) + s * x[j]! - b[j]!);
        expect(Math.max(...residual.map(Math.abs))).toBeLessThanOrEqual(1e-9 * size);
      });
    }),
    { numRuns: 500 },
  );
});

it('needs no more products for many shifts than for the smallest', () => {
  const diagonal = Float64Array.from({ length: 100 }, (_, i) => 1.1 ** i);
  let products = 0;
  const times = (p: Float64Array, result: Float64Array) => {
    products++;
    result.set(p.map((value, i) => value * diagonal[i]!));
  };
  const b = new Float64Array(100).fill(1);
  const limits = { tolerance: 1e-8, maxIterations: 1000 };
  const alone = solveShifted(times, b, [3], limits).iterations;
  expect(products).toBe(alone);
  expect(solveShifted(times, b, [30, 3, 300, 3000], limits).iterations).toBe(alone);
});

it('says when the iterations do not suffice', () => {
  const times = (p: Float64Array, result: Float64Array) => result.set(p);
  const limits = { tolerance: 1e-8, maxIterations: 0 };
  expect(() => solveShifted(times, new Float64Array(3).fill(1), [1], limits)).toThrow('in 0 iterations');
});

it('gives zeros for a right-hand side of zeros', () => {
  const times = (p: Float64Array, result: Float64Array) => result.set(p);
  const limits = { tolerance: 1e-8, maxIterations: 1 };
  expect(solveShifted(times, new Float64Array(3), [1], limits).solutions).toEqual([new Float64Array(3)]);
});
