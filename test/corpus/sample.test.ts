import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigestSet } from '../../core/corpus/duplicates/digest-set.ts';
import { TextSample } from '../../core/corpus/text-sample.ts';

describe('DigestSet', () => {
  it('is a set, also when it is full', () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 200 }), (numbers) => {
        const set = new DigestSet(new Set(numbers).size);
        const known = new Set<number>();
        for (const number of numbers) {
          const digest = createHash('sha256').update(String(number)).digest();
          expect(set.add(digest)).toBe(!known.has(number));
          known.add(number);
        }
      }),
    ));
});

describe('TextSample', () => {
  it('keeps the texts of lowest rank that fit, once each, whatever order they come in', () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(1000), { maxLength: 40 }),
        fc.integer({ min: 1, max: 300 }),
        (ranks, capacity) => {
          const text = (rank: number) => `${rank}:${'x'.repeat(rank % 23)}`;
          const sample = new TextSample(capacity);
          for (const rank of [...ranks, ...ranks.slice(3)]) sample.add(`name ${rank}`, rank, text(rank));
          const expected: string[] = [];
          let bytes = 0;
          for (const rank of [...ranks].sort((a, b) => a - b)) {
            bytes += text(rank).length;
            if (bytes > capacity && expected.length > 0) break;
            expected.push(text(rank));
          }
          expect(sample.texts().sort()).toEqual(expected.sort());
        },
      ),
    ));
});
