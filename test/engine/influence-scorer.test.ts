import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { CounterRandom } from '../../core/random/philox.ts';
import type { BertShape } from '../../engine/bert/bert.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { type DocumentPieces, InfluenceScorer } from '../../engine/bert/influence-scorer.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { createRuntime, type Runtime } from '../../engine/runtime/runtime.ts';
import { TINY_BERT } from './support.ts';
import { predictionsOf } from './whole-outputs.ts';

/** Wide enough for the matrix products to be cut into blocks, and for int8. */
const SHAPE: BertShape = {
  layers: 2,
  width: 192,
  heads: 3,
  intermediateWidth: 768,
  vocabularySize: 500,
  maxPositions: 128,
  typeVocabularySize: 2,
  layerNormEpsilon: 1e-12,
  initializerStd: 0.02,
};
const LIMITS = { longest: 128, batchTokens: 512 };

let onnx: Runtime;
let regressor: InfluenceRegressor;
let parameters: ParameterSet;
beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 2 });
  regressor = new InfluenceRegressor(onnx, SHAPE);
  parameters = initialParameters(regressor.specs, 1);
});

/** Documents of up to two pieces. */
function randomDocuments(count: number, { vocabularySize, maxPositions }: BertShape, seed = 1): DocumentPieces[] {
  const random = new CounterRandom(seed, 96);
  let index = 0;
  const piece = (length: number) => Array.from({ length }, () => random.below(index++, vocabularySize));
  return Array.from({ length: count }, () => {
    const length = 1 + random.below(index++, maxPositions);
    return random.uniform(index++) < 0.3 ? [piece(maxPositions), piece(length)] : [piece(length)];
  });
}

describe('scores', () => {
  it('are the predictions of the whole padded batch, also where a document is empty', async () => {
    const documents = [...randomDocuments(8, SHAPE), [], [[7]]];
    const length = SHAPE.maxPositions;
    const size = documents.length * 2 * length;
    const batch = {
      documents: documents.length,
      chunks: 2,
      length,
      tokens: new Int32Array(size),
      mask: new Float32Array(size),
    };
    documents.forEach((pieces, d) => {
      pieces.forEach((ids, c) => {
        const at = (2 * d + c) * length;
        batch.tokens.set(ids, at);
        batch.mask.fill(1, at, at + ids.length);
      });
    });
    const biased = parameters.clone();
    biased.view('regressor.bias')[0] = 0.5; // 0 in a new model
    const expected = await predictionsOf(onnx, SHAPE, biased, batch);
    const scores = await new InfluenceScorer(regressor, biased, LIMITS).score(documents);
    expect(scores.length).toBe(expected.length);
    for (let i = 0; i < scores.length; i++) expect(scores[i]).toBeCloseTo(expected[i]!, 5);
  });

  for (const precision of ['float32', 'int8'] as const)
    it(`are functions of each document alone, to the bit, in ${precision}`, async () => {
      const of = (regressor: InfluenceRegressor) =>
        new InfluenceScorer(regressor, precision === 'int8' ? regressor.inInt8(parameters) : parameters, LIMITS);
      const documents = randomDocuments(40, SHAPE);
      const scores = await of(regressor).score(documents);
      expect(new Set(scores).size).toBe(documents.length);
      for (const threads of [1, 2, 4, 5, 16]) {
        const runtime = await createRuntime('onnx', { threads });
        const scorer = of(new InfluenceRegressor(runtime, SHAPE));
        await fc.assert(
          fc.asyncProperty(fc.shuffledSubarray([...documents.keys()], { minLength: 1 }), async (some) => {
            const found = await scorer.score(some.map((i) => documents[i]!));
            expect(Array.from(found)).toEqual(some.map((i) => scores[i]));
          }),
          { numRuns: 4 },
        );
        await runtime.dispose();
      }
    });

  it('of pieces without padding have the same bits with a mask and without', async () => {
    const [pieces, length] = [2, LIMITS.longest];
    const random = new CounterRandom(3, 96);
    const tokens = Int32Array.from({ length: pieces * length }, (_, i) => random.below(i, SHAPE.vocabularySize));
    const mask = new Float32Array(tokens.length).fill(1);
    for (const weights of [parameters, regressor.inInt8(parameters)])
      expect(await regressor.stateSums(weights, { pieces, length, tokens })).toEqual(
        await regressor.stateSums(weights, { pieces, length, tokens, mask }),
      );
  });

  it('are those of the reference engine', async () => {
    const documents = randomDocuments(4, TINY_BERT);
    const limits = { longest: TINY_BERT.maxPositions, batchTokens: 20 };
    const found: Float32Array[] = [];
    for (const name of ['onnx', 'tfjs-cpu'] as const) {
      const tiny = new InfluenceRegressor(await createRuntime(name), TINY_BERT);
      found.push(await new InfluenceScorer(tiny, initialParameters(tiny.specs, 1), limits).score(documents));
    }
    for (let i = 0; i < documents.length; i++) expect(found[0]![i]).toBeCloseTo(found[1]![i]!, 5);
  });

  it('are reported as they are computed', async () => {
    const shares: number[] = [];
    await new InfluenceScorer(regressor, parameters, LIMITS).score(randomDocuments(20, SHAPE), (share) =>
      shares.push(share),
    );
    expect(shares.length).toBeGreaterThan(3);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });
});

describe('8 bits', () => {
  it('change the scores a little', async () => {
    const documents = randomDocuments(100, SHAPE);
    const exact = await new InfluenceScorer(regressor, parameters, LIMITS).score(documents);
    const rounded = await new InfluenceScorer(regressor, regressor.inInt8(parameters), LIMITS).score(documents);
    const std = (values: ArrayLike<number>) => {
      const all = Array.from(values);
      const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
      return Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
    };
    const error = std(exact.map((value, i) => value - rounded[i]!)) / std(exact);
    expect(error).toBeGreaterThan(1e-4);
    expect(error).toBeLessThan(0.1);
  });

  it('have weights whose products add up without saturation on processors that add two of them in 16 bits', () => {
    const { matrices } = regressor.inInt8(parameters);
    expect(matrices.size).toBe(6 * SHAPE.layers);
    for (const { values } of matrices.values()) {
      const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      expect(most).toBeGreaterThan(60); // the range is used
      expect(2 * 255 * most).toBeLessThan(2 ** 15);
    }
  });

  it("are the weights rounded to the nearest multiple of their channel's scale", () => {
    for (const [name, { values, scales }] of regressor.inInt8(parameters).matrices) {
      const weights = parameters.view(name);
      const into = weights.length / scales.length;
      const worst = weights.reduce((most, weight, at) => {
        const channel = Math.floor(at / into);
        const value = values[(at % into) * scales.length + channel]!;
        return Math.max(most, Math.abs(weight / scales[channel]! - value));
      }, 0);
      expect(worst, name).toBeLessThan(0.5001);
    }
  });

  it('are refused by the other engines', async () => {
    const tiny = new InfluenceRegressor(await createRuntime('tfjs-cpu'), TINY_BERT);
    const int8 = tiny.inInt8(initialParameters(tiny.specs, 1));
    const scorer = new InfluenceScorer(tiny, int8, { longest: 9, batchTokens: 20 });
    await expect(scorer.score([[[1, 2]]])).rejects.toThrow('only the runtime onnx multiplies in 8 bits');
  });
});
