import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Extremes } from '../../core/formats.ts';
import { extremePositions, mergeExtremes } from '../../core/selection/merging/extremes.ts';

const document = (row: number, utility: number) => ({ row, utility, domain: 'essays', text: `Text ${row}.` });

it('finds the same extremes whole and in parts', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 120 }),
      fc.integer({ min: 1, max: 9 }),
      (all, jobs) => {
        const extremesOf = (rows: number[]): Extremes => {
          const { highest, lowest } = extremePositions(Float32Array.from(rows, (row) => all[row]!));
          const documents = (positions: number[]) => positions.map((p) => document(rows[p]!, all[rows[p]!]!));
          return { highest: documents(highest), lowest: documents(lowest) };
        };
        const parts = Array.from({ length: jobs }, (_, job) =>
          extremesOf([...all.keys()].filter((row) => row % jobs === job)),
        );
        const sorted = [...all.keys()].sort((a, b) => all[b]! - all[a]! || a - b).slice(0, 8);
        const whole = mergeExtremes(parts);
        expect(whole.highest.map(({ row }) => row)).toEqual(sorted);
        expect(mergeExtremes(parts.toReversed())).toEqual(whole);
        expect(extremesOf([...all.keys()])).toEqual(whole);
      },
    ),
  );
});
