import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import { checkReferenceRows, referenceRowCount } from '../../core/selection/reference-rows.ts';

const LENGTH = 10;
/** Each is 4 tokens long, 5 with its end. */
const passages = (count: number) => Array.from({ length: count }, () => ({ tokens: [1, 2, 3, 4], firstTarget: 1 }));
const selecting = (selection: object) =>
  parseConfig(
    {
      corpus: { input: ['a.jsonl'] },
      reference: { input: 'r.jsonl' },
      heldOut: { input: 'h.jsonl' },
      selection,
    },
    'test.json',
  );
const check = (selection: object, count: number) => checkReferenceRows(selecting(selection), passages(count), LENGTH);

describe('rows of reference passages', () => {
  it('are whole ones', () => {
    expect([0, 1, 2, 3, 4].map((count) => referenceRowCount(passages(count), LENGTH))).toEqual([0, 0, 1, 1, 2]);
  });

  it.each([{ method: 'classifier' }, { method: 'influence', classifierWeight: 1 }])('are needed by %o', (selection) => {
    expect(() => check(selection, 1)).toThrow(
      'reference.passages: 1 passage in all fills no row of 10 tokens, which the quality classifier needs: give more',
    );
    expect(check(selection, 38)).toEqual([
      expect.stringMatching(
        /^The quality classifier learns from only 19 rows of 10 tokens, as 38 passages in all fill no more/,
      ),
    ]);
    expect(check(selection, 40)).toEqual([]);
  });

  it('of train-on-reference may be few, but not none', () => {
    expect(() => check({ method: 'train-on-reference' }, 1)).toThrow(
      /which selection\.method "train-on-reference" needs/,
    );
    expect(check({ method: 'train-on-reference' }, 2)).toEqual([]);
  });

  it.each([{}, { method: 'dsir' }, { method: 'random' }])('are not needed by %o', (selection) => {
    expect(check(selection, 1)).toEqual([]);
  });
});
