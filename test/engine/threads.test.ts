import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../core/bytes.ts';
import { sha256 } from '../../core/hash.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { OTHER_LLAMA, QUERY_KEY_NORM, randomParameters, randomTokens, TINY_GPT, TINY_LLAMA } from './support.ts';

// As wide as it takes for the library of matrix products to divide some of them by columns, with sums in blocks.
const WIDE = { layers: 2, width: 256, heads: 4, vocabularySize: 300 };
const SHAPES: Record<string, DecoderShape> = {
  'GPT-NeoX': { ...TINY_GPT, ...WIDE },
  Llama: { ...TINY_LLAMA, ...WIDE, mlpWidth: 600 },
  'Llama with one head of keys': { ...TINY_LLAMA, ...WIDE, ...OTHER_LLAMA, mlpWidth: 600 },
  'Llama with norms of queries and keys': { ...TINY_LLAMA, ...WIDE, ...QUERY_KEY_NORM, headWidth: 48 },
};

describe.each(Object.entries(SHAPES))('a %s', (_, shape) => {
  it.each([
    [1, 71],
    [3, 150],
  ])('gives the same bits on any number of threads, %i rows of %i tokens', async (batch, length) => {
    const parameters = randomParameters(decoderSpecs(shape));
    const tokens = randomTokens(batch * length, shape.vocabularySize);
    const positions = Int32Array.from({ length: 2 * batch }, (_, i) => (i * 37) % (length - 1));
    const bits = (values: Float32Array) => sha256(bytesOf(values));
    const on = async (threads: number) => {
      const runtime = await createRuntime('onnx', { threads });
      const model = new LanguageModel(runtime, shape);
      const rows = { batch, length, tokens };
      const gradient = parameters.sibling();
      const loss = await model.lossAndGradient(parameters, rows, gradient);
      const found = {
        loss,
        gradient: bits(gradient.flat),
        losses: bits(await model.tokenLosses(parameters, rows)),
        features: bits(await model.rowFeatures(parameters, rows)),
        states: bits(await model.hiddenStatesAt(parameters, rows, positions)),
      };
      await runtime.dispose();
      return found;
    };
    const alone = await on(1);
    for (const threads of [2, 3, 5, 16]) expect(await on(threads)).toEqual(alone);
  });
});
