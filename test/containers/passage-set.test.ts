import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Passage } from '../../core/corpus/passages.ts';
import type { LanguageModel, TokenBatch } from '../../engine/decoder/language-model.ts';
import { PassageSet, paddedBatch } from '../../engine/decoder/passage-set.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { randomParameters, randomTokens, TINY_GPT } from '../engine/support.ts';
import { emptyGradient, plainPassageLoss, randomPassages, tinyModel } from './support.ts';

const model = await tinyModel();
const parameters = randomParameters(model.specs, 3);
const passages = randomPassages(9);
const lossOf = (set: readonly Passage[], rowsPerBatch?: number) =>
  new PassageSet(model, set, rowsPerBatch).loss(parameters);

describe('the loss of a set of passages', () => {
  it('is the mean over passages of the mean over targets, for any set and any batch size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(passages, { minLength: 1 }),
        fc.integer({ min: 1, max: 12 }),
        async (set, rowsPerBatch) => {
          const expected = await plainPassageLoss(model, parameters, set);
          expect(Math.abs((await lossOf(set, rowsPerBatch)) - expected)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives passages equal weight, however long they are', async () => {
    const [short, long] = [randomTokens(2, 40, 1), randomTokens(14, 40, 2)].map((tokens) => ({
      tokens: Array.from(tokens),
      firstTarget: 1,
    }));
    const separate = ((await lossOf([short!])) + (await lossOf([long!]))) / 2;
    expect(await lossOf([short!, long!])).toBeCloseTo(separate, 5);
  });

  it('counts the targets alone: those before are context, and matter as context', async () => {
    const tokens = Array.from(randomTokens(10, 40, 5));
    const perToken = await model.tokenLosses(parameters, {
      batch: 1,
      length: 10,
      tokens: Int32Array.from(tokens),
    });
    for (let firstTarget = 1; firstTarget < 10; firstTarget++) {
      const targets = Array.from(perToken).slice(firstTarget - 1);
      const expected = targets.reduce((sum, loss) => sum + loss, 0) / targets.length;
      expect(await lossOf([{ tokens, firstTarget }])).toBeCloseTo(expected, 5);
    }
    const other = [(tokens[0]! + 1) % 40, ...tokens.slice(1)];
    const lastWord = (tokens: number[]) => lossOf([{ tokens, firstTarget: 9 }]);
    expect(await lastWord(other)).not.toBeCloseTo(await lastWord(tokens), 4);
  });

  it('does not depend on the padding of a batch', async () => {
    const short = { tokens: Array.from(randomTokens(4, 40, 6)), firstTarget: 2 };
    const padded = (token: number) => ({ tokens: [...short.tokens, ...Array(8).fill(token)], firstTarget: 11 });
    // beside a long passage the short one is padded; its share is what is left of the mean
    for (const token of [0, 7, 39]) {
      const long = padded(token);
      const share = 2 * (await lossOf([short, long])) - (await lossOf([long]));
      expect(share).toBeCloseTo(await lossOf([short]), 5);
    }
  });

  it('sends only the states that predict targets through the head, with the same bits', async () => {
    const model = await tinyModel({ ...TINY_GPT, width: 32, heads: 4, vocabularySize: 128 });
    const parameters = randomParameters(model.specs, 4);
    const read = vi.spyOn(model, 'targetLosses');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 12 }), async (targets) => {
        const set = [...targets, 31].map((count, i) => ({
          tokens: Array.from(randomTokens(count + 1 + (i % 5), 128, i + 1)),
          firstTarget: 1 + (i % 5),
        }));
        read.mockClear();
        const { perPassage, perToken } = await new PassageSet(model, set, set.length).losses(parameters);

        const sorted = set.toSorted((a, b) => a.tokens.length - b.tokens.length);
        const batch = paddedBatch(sorted, set.length, 49);
        const losses = await model.tokenLosses(parameters, batch); // of all tokens, padding too
        const counted = [...losses.keys()].filter((i) => batch.weights[i] !== 0);
        expect(perPassage).toBe(counted.reduce((sum, i) => sum + batch.weights[i]! * losses[i]!, 0));
        const count = targets.reduce((a, b) => a + b) + 31;
        expect(perToken).toBe(counted.reduce((sum, i) => sum + losses[i]!, 0) / count);
        expect(counted).toHaveLength(count);
        expect(read.mock.calls.map(([, , tokens]) => tokens.length)).toEqual([16 * Math.ceil(count / 16)]);
      }),
      { numRuns: 20 },
    );
  });

  it.each(['last word', 'whole passages'])('has the same bits however the passages are packed, %s', async (what) => {
    const model = await tinyModel({ ...TINY_GPT, width: 32, heads: 4, vocabularySize: 128 });
    const parameters = randomParameters(model.specs, 4);
    const set = Array.from({ length: 12 }, (_, i) => {
      const tokens = Array.from(randomTokens(8 + 3 * ((i * 5) % 12), 128, i + 1));
      return { tokens, firstTarget: what === 'last word' ? tokens.length - 1 - (i % 3) : 1 };
    });
    const loss = (rowsPerBatch: number) => new PassageSet(model, set, rowsPerBatch).loss(parameters);
    const expected = await loss(8);
    for (const rowsPerBatch of [2, 3, 5, 12]) expect(await loss(rowsPerBatch)).toBe(expected);
    const at = vi.spyOn(model, 'hiddenStatesAt');
    await loss(3);
    expect(at.mock.calls.length).toBe(what === 'last word' ? 4 : 0);
    expect(expected).toBeCloseTo(await plainPassageLoss(model, parameters, set), 5);
  });

  it('reads many targets in equal parts', async () => {
    const passages = randomPassages(90).map(({ tokens }) => ({ tokens, firstTarget: 1 }));
    const read = vi.spyOn(model, 'targetLosses');
    const loss = await lossOf(passages);
    const rows = read.mock.calls.map(([, , tokens]) => tokens.length);
    read.mockRestore();
    expect(rows.length).toBeGreaterThan(1);
    expect(new Set(rows).size).toBe(1);
    expect(loss).toBeCloseTo(await plainPassageLoss(model, parameters, passages), 5);
  });

  it('leaves the parameters and the passages as they were', async () => {
    const [weights, given] = [parameters.flat.slice(), structuredClone(passages)];
    await lossOf(passages, 4);
    expect(parameters.flat).toEqual(weights);
    expect(passages).toEqual(given);
  });
});

it('the gradient of a set is that of its loss, whatever was in its place', async () => {
  const [found, whole] = [emptyGradient(model), emptyGradient(model)];
  found.flat.fill(7);
  await new PassageSet(model, passages, 4).gradient(parameters, found);
  await model.lossAndGradient(parameters, paddedBatch(passages), whole);
  const furthest = whole.flat.reduce((most, g, i) => Math.max(most, Math.abs(found.flat[i]! - g)), 0);
  expect(furthest).toBeLessThan(1e-6);
});

describe('on a GPU, to which the parameters cross once a batch', () => {
  /** Rows of each batch that the set asks for. */
  async function batchesOf(onGpu: boolean, count: number, length: number): Promise<number[]> {
    const rows: number[] = [];
    const hiddenStates = async (_: unknown, { batch, length }: TokenBatch) => {
      rows.push(batch);
      return new Float32Array(batch * length);
    };
    const targetLosses = async (_: unknown, __: unknown, tokens: Int32Array) => new Float32Array(tokens.length);
    const model = { onGpu, shape: { width: 1 }, hiddenStates, targetLosses } as unknown as LanguageModel;
    const passages = Array.from({ length: count }, () => ({
      tokens: new Array<number>(length).fill(0),
      firstTarget: 1,
    }));
    await new PassageSet(model, passages).loss({} as ParameterSet);
    return rows;
  }

  it('a batch has as many passages as have room', async () => {
    expect(await batchesOf(true, 100, 80)).toEqual([64, 36]);
    expect(await batchesOf(true, 20, 1025)).toEqual([15, 5]);
    expect(await batchesOf(true, 20, 8193)).toEqual([8, 8, 4]);
    expect(await batchesOf(false, 20, 80)).toEqual([8, 8, 4]);
  });
});
