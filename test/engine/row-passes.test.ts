import { expect, it } from 'vitest';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { fullPasses, rowLosses } from '../../engine/decoder/row-passes.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { randomParameters, randomTokens, TINY_GPT } from './support.ts';

const model = new LanguageModel(await createRuntime('onnx', { threads: 1 }), TINY_GPT);
const parameters = randomParameters(model.specs, 3);
const length = 9;
const tokensOf = (rows: number) => randomTokens(rows * length, TINY_GPT.vocabularySize, 8);
const lossesOf = (tokens: Int32Array) => rowLosses(model, parameters, tokens, length);

it.each([1, 7, 16, 37])('losses of %i rows are those of each row by itself', async (rows) => {
  const tokens = tokensOf(rows);
  const losses = await lossesOf(tokens);
  expect(losses).toHaveLength(rows);
  for (let row = 0; row < rows; row++) {
    const one = tokens.subarray(row * length, (row + 1) * length);
    const alone = await model.tokenLosses(parameters, { batch: 1, length, tokens: one });
    const expected = alone.reduce((sum, loss) => sum + loss / (length - 1), 0);
    expect(Math.abs(losses[row]! - expected)).toBeLessThan(1e-5);
  }
});

it('in full passes a row has the same bits, however many there are', async () => {
  const tokens = tokensOf(37);
  const all = await lossesOf(fullPasses(tokens, length));
  expect(all).toHaveLength(48);
  for (const rows of [1, 16, 17]) {
    const some = await lossesOf(fullPasses(tokens.subarray(0, rows * length), length));
    expect(some.subarray(0, rows)).toEqual(all.subarray(0, rows));
  }
});

it.each([64, 72, 200, 256])('a row of %i tokens has the same bits wherever it is in a pass', async (length) => {
  const rows = 16;
  const tokens = randomTokens(rows * length, TINY_GPT.vocabularySize, 8);
  const moved = new Int32Array(tokens.length);
  for (let row = 0; row < rows; row++) {
    const to = (row + 5) % rows;
    moved.set(tokens.subarray(row * length, (row + 1) * length), to * length);
  }
  const [losses, others] = [
    await rowLosses(model, parameters, tokens, length),
    await rowLosses(model, parameters, moved, length),
  ];
  for (let row = 0; row < rows; row++) expect(others[(row + 5) % rows], `row ${row}`).toBe(losses[row]);
});
