/** What the two copies of a lookahead probe learn, and for how long. */
import { describe, expect, it } from 'vitest';
import { lookaheadCopies } from '../../containers/probe/lookahead.ts';
import { guardPassages } from '../../core/plan/lookahead.ts';
import { CounterRandom, permutation, STREAM } from '../../core/random/philox.ts';
import { clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import { paddedBatch } from '../../engine/decoder/passage-set.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { randomTokens } from '../engine/support.ts';
import { emptyGradient, randomPassages, tinyConfig, tinyModel, trainedCheckpoint } from './support.ts';

const LENGTH = 12;
const model = await tinyModel();
const passages = randomPassages(8);
const rows = Array.from({ length: 9 }, (_, i) => randomTokens(LENGTH, model.shape.vocabularySize, 60 + i));
const randomRows = Int32Array.from(rows.flatMap((row) => [...row]));
const lookahead = { steps: 12, batchRows: 8 };

/** Copies of a model that records what it learns; the guard reads the given losses one after another. */
async function copies(guardLosses: number[] = [], steps = lookahead) {
  const learned = { passages: new Set<string>(), rowBatches: 0, inOrder: [] as string[] };
  const watched: LanguageModel = Object.create(model);
  watched.lossAndGradient = async (parameters, batch, gradient) => {
    for (let row = 0; row < batch.batch; row++)
      learned.inOrder.push(batch.tokens.subarray(row * batch.length, (row + 1) * batch.length).join());
    if (batch.length === LENGTH) learned.rowBatches++;
    else
      for (let row = 0; row < batch.batch; row++)
        learned.passages.add(batch.tokens.subarray(row * batch.length, (row + 1) * batch.length).join());
    return model.lossAndGradient(parameters, batch, gradient);
  };
  let reading = 0;
  watched.targetLosses = async (parameters, hidden, targets) => {
    const losses = await model.targetLosses(parameters, hidden, targets);
    const given = guardLosses[reading++];
    return given === undefined ? losses : losses.map(() => given);
  };
  const config = tinyConfig({ probe: { method: 'lookahead', lookahead: steps } });
  const options = { config, learningRate: 1e-3, passages, randomRows, length: LENGTH };
  return { learned, ...(await lookaheadCopies(watched, trainedCheckpoint(model), options)) };
}

describe('lookahead', () => {
  it('never learns the passages that it is guarded by', async () => {
    const { learned } = await copies([5, 4, 3, 2]);
    expect(learned.passages.size).toBe(passages.length - guardPassages(passages.length));
  });

  it('keeps the copy of the lowest loss, and steps as often on random text', async () => {
    const best = await copies([5, 4, 6]);
    expect([best.steps, best.tried]).toEqual([4, 8]);
    const batchesAStep = lookahead.batchRows / tinyConfig().pretrain.microBatchRows;
    expect(best.learned.rowBatches).toBe(4 * batchesAStep);
    const shorter = await copies([5, 6]); // ends after the fourth step
    expect(best.first.flat).toEqual(shorter.first.flat);
    expect(best.second.flat).toEqual(shorter.second.flat);
  });

  it('goes through the passages and the random rows from step to step, and begins again after the last', async () => {
    const { learned } = await copies([5, 4], { steps: 4, batchRows: 4 });
    const dealt = permutation(8, new CounterRandom(tinyConfig().seed, STREAM.lookaheadGuard));
    const texts = Array.from(dealt.subarray(guardPassages(8)), (i) => passages[i]!.tokens);
    const longest = Math.max(...texts.map(({ length }) => length));
    const order = permutation(6, new CounterRandom(tinyConfig().seed, STREAM.lookahead, 5));
    const padded = (n: number) => Array.from({ length: longest }, (_, i) => texts[order[n % 6]!]![i] ?? 0).join();
    const numbers = Array.from({ length: 16 }, (_, n) => n);
    expect(learned.inOrder).toEqual([...numbers.map(padded), ...numbers.map((n) => rows[n % 9]!.join())]);
  });

  it.each([1e6, 0.05])('makes the steps of the trunk, with its moments and its clip at %d', async (clipNorm) => {
    const config = tinyConfig({
      pretrain: { ...tinyConfig().pretrain, clipNorm },
      probe: { method: 'lookahead', lookahead: { steps: 1, batchRows: 4 } },
    });
    const options = { config, learningRate: 1e-3, passages, randomRows, length: LENGTH };
    const { first, second } = await lookaheadCopies(model, trainedCheckpoint(model), options);
    const byHand = async (batch: Parameters<LanguageModel['lossAndGradient']>[1]): Promise<ParameterSet> => {
      const { parameters, optimizer } = trainedCheckpoint(model);
      const gradient = emptyGradient(model);
      await model.lossAndGradient(parameters, batch, gradient);
      const norm = globalNorm(gradient.flat);
      expect(norm > clipNorm).toBe(clipNorm < 1); // otherwise this would test nothing
      optimizer.apply(parameters.flat, gradient.flat, 1e-3, clipCoefficient(norm, clipNorm));
      return parameters;
    };
    const dealt = permutation(8, new CounterRandom(config.seed, STREAM.lookaheadGuard));
    const order = permutation(6, new CounterRandom(config.seed, STREAM.lookahead, 5));
    const learned = [0, 1, 2, 3].map((i) => passages[dealt[guardPassages(8) + order[i]!]!]!);
    const apart = (a: ParameterSet, b: ParameterSet) =>
      a.flat.reduce((most, w, i) => Math.max(most, Math.abs(w - b.flat[i]!)), 0);
    expect(apart(first, await byHand(paddedBatch(learned)))).toBeLessThan(2e-6);
    expect(
      apart(second, await byHand({ batch: 4, length: LENGTH, tokens: randomRows.subarray(0, 4 * LENGTH) })),
    ).toBeLessThan(2e-6);
  });
});
