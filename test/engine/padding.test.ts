import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LanguageModel, TokenBatch } from '../../engine/decoder/language-model.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { paddedLengths } from '../../engine/padding.ts';
import type { ParameterSet } from '../../engine/parameters.ts';

/** The least sum by trying every choice of at most `most` lengths. */
function leastSum(lengths: number[], most: number): number {
  const distinct = [...new Set(lengths)];
  const longest = distinct.at(-1)!;
  let choices: number[][] = [[]];
  for (const length of distinct.slice(0, -1)) choices = choices.flatMap((choice) => [choice, [...choice, length]]);
  const sums = choices
    .filter((choice) => choice.length < most)
    .map((choice) => lengths.reduce((sum, n) => sum + ([...choice, longest].find((padded) => padded >= n) ?? 0), 0));
  return Math.min(...sums);
}

describe('lengths to pad to', () => {
  it('are few, long enough, and add as little as any', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 4 }),
        (given, most) => {
          const lengths = given.sort((a, b) => a - b);
          const padded = paddedLengths(lengths, most);
          expect(new Set(padded).size).toBeLessThanOrEqual(most);
          expect(padded.every((length, i) => length >= lengths[i]!)).toBe(true);
          expect(padded.reduce((a, b) => a + b)).toBe(leastSum(lengths, most));
        },
      ),
    );
  });

  it('are the lengths themselves where these are no more than allowed', () => {
    expect(paddedLengths([2, 2, 5, 9], 3)).toEqual([2, 2, 5, 9]);
    expect(paddedLengths([], 3)).toEqual([]);
  });
});

it('a set of passages of many lengths runs few graphs', async () => {
  const shapes = new Set<string>();
  const model = {
    shape: { width: 1 },
    hiddenStates: async (_: ParameterSet, { batch, length }: TokenBatch) => {
      shapes.add(`${batch} x ${length}`);
      return new Float32Array(batch * length);
    },
    targetLosses: async (_: ParameterSet, _hidden: Float32Array, targets: Int32Array) =>
      new Float32Array(targets.length).fill(2),
  } as unknown as LanguageModel;
  const passages = Array.from({ length: 400 }, (_, i) => ({
    tokens: new Array<number>(20 + (i % 97)).fill(1),
    firstTarget: 3,
  }));
  const loss = await new PassageSet(model, passages).loss({} as ParameterSet);
  expect(loss).toBeCloseTo(2, 6);
  expect(shapes.size).toBe(8);
});
