import { describe, expect, it } from 'vitest';
import { rowStatistics, selectionWarnings } from '../../core/diagnostics/selection.ts';
import type { RowStatistics, SelectionSummary } from '../../core/formats.ts';
import { plainPercent } from '../../report/format.ts';

const LENGTH = 32;
/** Rows of tokens that no two have in common. */
const distinct = (rows: number) => Int32Array.from({ length: rows * LENGTH }, (_, i) => i + 1);

describe('rowStatistics', () => {
  it('finds no repetition among distinct rows, nor inside one row', () => {
    expect(rowStatistics(distinct(20), LENGTH, 0)).toEqual({ rows: 20, repeated: 0, documents: 0 });
    expect(rowStatistics(new Int32Array(LENGTH).fill(5), LENGTH, 0).repeated).toBe(0);
  });

  it('finds text that two rows have at different places', () => {
    const tokens = distinct(10);
    // Row 7 from token 10 on is row 2's beginning: 22 tokens, 15 runs of 8, in both rows, of 25 a row.
    tokens.copyWithin(7 * LENGTH + 10, 2 * LENGTH, 3 * LENGTH - 10);
    expect(rowStatistics(tokens, LENGTH, 0).repeated).toBeCloseTo((2 * 15) / (10 * 25), 12);
  });

  it('counts the documents that end in a row', () => {
    const tokens = distinct(4);
    for (const at of [3, 9, 40]) tokens[at] = 0;
    expect(rowStatistics(tokens, LENGTH, 0).documents).toBe(0.75);
  });
});

describe('selectionWarnings', () => {
  const plain: RowStatistics = { rows: 100, repeated: 0.01, documents: 0.5 };
  const summary = {
    selectedRows: 100,
    poolRows: 500,
    selectedDomains: { novels: 60, web: 40 },
    poolDomains: { novels: 100, web: 400 },
  } as unknown as SelectionSummary;
  const warn = (
    selected: Partial<RowStatistics>,
    over: Partial<SelectionSummary> = {},
    pool: RowStatistics = plain,
    tempered = true,
  ) => selectionWarnings({ selected: { ...plain, ...selected }, pool }, { ...summary, ...over }, tempered);

  it('says nothing of a selection that leans to a domain', () => {
    expect(warn({})).toEqual([]);
  });

  it('warns of near-duplicates, unless the pool is full of them', () => {
    expect(warn({ repeated: 0.4 })).toEqual([
      expect.stringMatching(/^40 % of the selected text .* \(in the pool: 1 %\)/),
    ]);
    expect(warn({ repeated: 0.4 }, {}, { ...plain, repeated: 0.3 })).toEqual([]);
  });

  it('gives shares as the closing table does', () => {
    const selectedDomains = { novels: 39, web: 1 };
    const [warning] = warn({}, { selectedDomains, selectedRows: 40 });
    expect(warning).toMatch(/^97\.5 % /);
    expect(warning).toContain(plainPercent(39 / 40).replace('%', ' %'));
  });

  it('warns of a selection from one domain, unless the pool is of that domain too', () => {
    const selectedDomains = { novels: 90, web: 10 };
    expect(warn({}, { selectedDomains })).toEqual([expect.stringMatching(/^90 % .* domain novels, which is 20 %/)]);
    expect(warn({}, { selectedDomains, poolDomains: { novels: 400, web: 100 } })).toEqual([]);
    expect(warn({}, { selectedDomains })[0]).toMatch(/a higher selection\.temperature or selection\.fraction keeps/);
    expect(warn({}, { selectedDomains }, plain, false)[0]).toMatch(/a higher selection\.fraction keeps/);
  });

  it('warns of very short texts', () => {
    expect(warn({ documents: 6 })).toEqual([expect.stringMatching(/6\.0 documents on average, one of the pool 0\.5/)]);
    expect(warn({ documents: 6 }, {}, { ...plain, documents: 4 })).toEqual([]);
  });
});
