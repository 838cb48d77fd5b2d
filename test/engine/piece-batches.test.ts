import fc from 'fast-check';
import { expect, it } from 'vitest';
import { paddedPieceLength, planPieceBatches } from '../../engine/bert/piece-batches.ts';

it('pads to sixteenths of the longest, or to multiples of 16', () => {
  expect([1, 16, 17, 100, 128].map((tokens) => paddedPieceLength(tokens, 128))).toEqual([16, 16, 32, 112, 128]);
  expect([1, 33, 500, 512].map((tokens) => paddedPieceLength(tokens, 512))).toEqual([32, 64, 512, 512]);
  expect([1, 9].map((tokens) => paddedPieceLength(tokens, 9))).toEqual([9, 9]);
});

it('puts every piece that has tokens into exactly one batch, whose size depends on the length of the piece alone', () => {
  const length = fc.oneof(fc.integer({ min: 0, max: 512 }), fc.constant(512));
  const lengths = fc.array(length, { maxLength: 200 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 4096 }), (lengths, batchTokens) => {
      const batches = planPieceBatches(lengths, { longest: 512, batchTokens });
      const planned = batches.flatMap(({ pieces }) => pieces).sort((a, b) => a - b);
      expect(planned).toEqual(lengths.flatMap((length, piece) => (length > 0 ? [piece] : [])));
      const capacities = new Map<number, number>();
      for (const { length, capacity, full, pieces } of batches) {
        for (const piece of pieces) expect(paddedPieceLength(lengths[piece]!, 512)).toBe(length);
        for (const piece of pieces) expect(lengths[piece] === 512).toBe(full);
        expect(pieces.length).toBeLessThanOrEqual(capacity);
        expect(capacity === 1 || capacity * length <= 1.5 * batchTokens).toBe(true);
        expect(capacities.get(length) ?? capacity).toBe(capacity);
        capacities.set(length, capacity);
      }
      const inOrder = batches.map(({ length }) => length);
      expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
    }),
  );
});
