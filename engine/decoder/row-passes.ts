/** Forward passes over rows of a corpus, which all have one length. */

import type { ParameterSet } from '../parameters.ts';
import type { LanguageModel } from './language-model.ts';

/** Rows in one forward pass. */
export const ROWS_PER_PASS = 16;

/**
 * Fills rows up to full passes, so that a row's result does not depend on how many rows there are: a graph for a single
 * row may round differently.
 *
 * @param tokens [rows x length].
 * @returns the same tokens, followed by rows of token 0.
 */
export function fullPasses(tokens: Int32Array, length: number): Int32Array {
  const size = ROWS_PER_PASS * length;
  const filled = new Int32Array(Math.ceil(tokens.length / size) * size);
  filled.set(tokens);
  return filled;
}

/**
 * Mean next-token loss of each row, in nats per token.
 *
 * @param tokens [rows x length]; the last pass has as many rows as are left.
 */
export async function rowLosses(
  model: LanguageModel,
  parameters: ParameterSet,
  tokens: Int32Array,
  length: number,
): Promise<Float64Array> {
  const rows = tokens.length / length;
  const losses = new Float64Array(rows);
  for (let first = 0; first < rows; first += ROWS_PER_PASS) {
    const batch = Math.min(ROWS_PER_PASS, rows - first);
    const part = { batch, length, tokens: tokens.subarray(first * length, (first + batch) * length) };
    const perToken = await model.tokenLosses(parameters, part);
    for (let row = 0; row < batch; row++) {
      let sum = 0;
      for (let i = row * (length - 1); i < (row + 1) * (length - 1); i++) sum += perToken[i]!;
      losses[first + row] = sum / (length - 1);
    }
  }
  return losses;
}
