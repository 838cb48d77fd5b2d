import { expect, it } from 'vitest';
import { Design } from '../../core/regression/design.ts';

const ngrams = {
  rows: 4,
  columns: 3,
  starts: Uint32Array.of(0, 2, 2, 3, 5),
  indices: Uint32Array.of(2, 0, 1, 0, 2),
  values: Float32Array.of(1, 2, 3, 4, 5),
};
const dense = [{ name: 'state', columns: 2, values: Float32Array.of(1, 7, 2, 7, 100, 7, 5, 7) }];
/** Row 2 is left out. Columns: three of n-grams, then the state's, of which the second is constant. */
const rows = Uint32Array.of(0, 1, 3);
const plain = [
  [2, 0, 1, 1],
  [0, 0, 0, 2],
  [4, 0, 5, 5],
];
const means = [2, 0, 2, 8 / 3];
const deviation = Math.sqrt(((1 - 8 / 3) ** 2 + (2 - 8 / 3) ** 2 + (5 - 8 / 3) ** 2) / 3);
/** The centred, scaled matrix, with a relative penalty of 4 for the state. */
const matrix = plain.map((row) => [
  ...row.map((value, column) => (value - means[column]!) / (column === 3 ? 2 * deviation : 1)),
  0,
]);
const product = (a: number[], b: ArrayLike<number>) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const columns = [0, 1, 2, 3, 4].map((column) => matrix.map((row) => row[column]!));

it('multiplies by the centred and scaled columns of the rows given', () => {
  const design = new Design({ ngrams, dense }, rows, { state: 4 });
  const y = Float64Array.of(3, -1, 10); // not centred
  const found = design.transposeTimes(y);
  for (const [i, column] of columns.entries()) expect(found[i]).toBeCloseTo(product(column, y), 10);

  const p = Float64Array.of(1, -2, 0.5, 3, 9);
  const result = new Float64Array(5).fill(NaN);
  design.gramTimes(p, result);
  const xp = matrix.map((row) => product(row, p));
  for (const [i, column] of columns.entries()) expect(result[i]).toBeCloseTo(product(column, xp), 10);
});

it('gives no weight to a column that is constant but for the rounding of float32', () => {
  const values = Float32Array.of(1, 1 + 2 ** -23, 1, 1 + 2 ** -23);
  const block = { name: 'state', columns: 1, values };
  expect(new Design({ dense: [block] }, Uint32Array.of(0, 1, 2, 3)).scales).toEqual(Float64Array.of(0));
});
