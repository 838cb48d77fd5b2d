import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Passage } from '../../core/corpus/passages.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { logLikelihoods, logLikelihoodsOf, paddedRowLength } from '../../engine/decoder/log-likelihood.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime, type Runtime } from '../../engine/runtime/runtime.ts';
import { randomParameters, randomTokens, TINY_GPT } from './support.ts';
import { logitsOf } from './whole-outputs.ts';

const V = TINY_GPT.vocabularySize;
let onnx: Runtime;
let model: LanguageModel;
let parameters: ParameterSet;
beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 1 });
  model = new LanguageModel(onnx, TINY_GPT);
  parameters = randomParameters(model.specs);
});

/** Requests of many lengths, more targets than the head reads at once, and choices that share their context. */
function manyRequests(): Passage[] {
  const requests = Array.from({ length: 60 }, (_, i) => {
    const length = 2 + ((i * 7) % 23);
    return { tokens: [...randomTokens(length, V, i + 1)], firstTarget: 1 + ((i * 5) % (length - 1)) };
  });
  const context = [...randomTokens(9, V, 99)];
  for (let token = 0; token < V; token++) requests.push({ tokens: [...context, token], firstTarget: 9 });
  return requests;
}

/** By the logits of one row alone, without padding, in float64. */
async function alone({ tokens, firstTarget }: Passage) {
  const row = Int32Array.from(tokens);
  const logits = await logitsOf(onnx, TINY_GPT, parameters, { batch: 1, length: row.length, tokens: row });
  let logLikelihood = 0;
  let greedy = true;
  for (let t = firstTarget; t < row.length; t++) {
    const at = [...logits.subarray((t - 1) * V, t * V)];
    const most = Math.max(...at);
    logLikelihood += at[row[t]!]! - most - Math.log(at.reduce((sum, x) => sum + Math.exp(x - most), 0));
    greedy &&= at.indexOf(most) === row[t];
  }
  return { logLikelihood, greedy };
}

describe('log-likelihoods', () => {
  it('are those of each request alone, and greedy where the likeliest token is the target', async () => {
    const digits = [
      [1, 12, 5],
      [11, 2, 5], // another context, though its ids have the same digits
    ].map((tokens) => ({ tokens, firstTarget: 2 }));
    const requests = [...digits, ...manyRequests()];
    const found = await logLikelihoods(model, parameters, requests);
    let greedy = 0;
    for (const [i, request] of requests.entries()) {
      const expected = await alone(request);
      expect(Math.abs(found[i]!.logLikelihood - expected.logLikelihood)).toBeLessThan(1e-5);
      expect(found[i]!.greedy).toBe(expected.greedy);
      greedy += Number(expected.greedy);
    }
    expect(greedy).toBeGreaterThan(0); // the 40 continuations of one context have one greedy choice
    const continuations = found.slice(-V).map(({ logLikelihood }) => Math.exp(logLikelihood));
    expect(continuations.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });

  it('have the same bits whatever other requests there are and in whatever order', async () => {
    const requests = manyRequests();
    const all = await logLikelihoods(model, parameters, requests);
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...requests.keys()], { minLength: 1 }), async (chosen) => {
        const found = await logLikelihoods(
          model,
          parameters,
          chosen.map((i) => requests[i]!),
        );
        expect(found).toEqual(chosen.map((i) => all[i]));
      }),
      { numRuns: 12 },
    );
  });

  it.each([1, 2, 3, 64])('are the same to the last digits with %d rows in a pass', async (rowsPerBatch) => {
    const requests = manyRequests();
    const all = await logLikelihoods(model, parameters, requests);
    const found = await logLikelihoods(model, parameters, requests, { rowsPerBatch });
    for (const [i, { logLikelihood, greedy }] of found.entries()) {
      expect(Math.abs(logLikelihood - all[i]!.logLikelihood)).toBeLessThan(1e-5);
      expect(greedy).toBe(all[i]!.greedy);
    }
  });

  it('are exact for tokens whose probability underflows', async () => {
    const sharp = randomParameters(model.specs);
    const head = sharp.view('embed_out.weight');
    for (let i = 0; i < head.length; i++) head[i] = head[i]! * 60;
    const requests = Array.from({ length: V }, (_, token) => ({ tokens: [3, 1, token], firstTarget: 2 }));
    const found = (await logLikelihoods(model, sharp, requests)).map(({ logLikelihood }) => logLikelihood);
    const logits = (
      await logitsOf(onnx, TINY_GPT, sharp, { batch: 2, length: 2, tokens: Int32Array.of(3, 1, 3, 1) })
    ).slice(V, 2 * V);
    const most = Math.max(...logits);
    expect(Math.min(...found)).toBeLessThan(-150); // exp(-104) is the smallest float32
    found.forEach((value, token) => {
      expect(value - (logits[token]! - most)).toBeCloseTo(found[logits.indexOf(most)]!, 2);
    });
  });

  it('run each shared context once, and tell how far they are', async () => {
    const seen: number[] = [];
    const requests = manyRequests().slice(60);
    await logLikelihoods(model, parameters, requests, { onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([V]);
  });

  it('of several lists are the same as of each list alone', async () => {
    const lists = [manyRequests().slice(0, 5), [], manyRequests().slice(5, 8)];
    const found = await logLikelihoodsOf(model, parameters, lists);
    for (const [i, list] of lists.entries()) expect(found[i]).toEqual(await logLikelihoods(model, parameters, list));
  });

  it('refuse a request without context or target', async () => {
    await expect(logLikelihoods(model, parameters, [{ tokens: [1, 2], firstTarget: 0 }])).rejects.toThrow(RangeError);
    await expect(logLikelihoods(model, parameters, [{ tokens: [1, 2], firstTarget: 2 }])).rejects.toThrow(/no target/);
  });

  it('equal those of the reference runtime', async () => {
    const reference = new LanguageModel(await createRuntime('tfjs-cpu'), TINY_GPT);
    const requests = manyRequests().slice(55, 63);
    const expected = await logLikelihoods(reference, parameters, requests, { rowsPerBatch: 2 });
    const found = await logLikelihoods(model, parameters, requests);
    found.forEach(({ logLikelihood, greedy }, i) => {
      expect(Math.abs(logLikelihood - expected[i]!.logLikelihood)).toBeLessThan(1e-5);
      expect(greedy).toBe(expected[i]!.greedy);
    });
  });
});

describe('padded lengths', () => {
  it('are few, and waste an eighth at most beyond 64 tokens', () => {
    const lengths = Array.from({ length: 2048 }, (_, i) => paddedRowLength(i + 1));
    expect(new Set(lengths).size).toBe(48);
    lengths.forEach((length, i) => {
      expect(length).toBeGreaterThan(i);
      expect(length - (i + 1)).toBeLessThan(Math.max(8, (i + 1) / 8 + 1));
      expect(paddedRowLength(length)).toBe(length);
    });
  });
});
