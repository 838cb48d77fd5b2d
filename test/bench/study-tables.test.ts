import { describe, expect, it } from 'vitest';
import { CHOSEN } from '../../bench/study/grid.ts';
import {
  type CellResult,
  confirmedTable,
  driftTable,
  equalFlopsTable,
  keptTable,
  LONGER,
  mainTable,
  randomLossAt,
  summaryTable,
} from '../../bench/study/tables.ts';

/** A cell whose stages of 10 operations each end in these losses; `selection` operations before every stage but the first. */
function cell(method: string, seed: number, losses: number[], selection = 0, spearman?: number): CellResult {
  const stages = losses.map((loss, stage) => ({
    stage,
    selectionFlops: stage > 0 ? selection : 0,
    selectedDomains: { a: 1 },
    ...(spearman !== undefined && stage > 0 ? { spearman, staleSpearman: stage > 1 ? spearman - 0.1 : undefined } : {}),
    main: { trainingFlops: 10, heldOutLoss: loss, referenceLoss: loss, mixedDomainLoss: loss },
  }));
  return { id: `${method}-${seed}`, method, seed, references: 'r', size: '1M', runtime: 'onnx', stages };
}

const rows = (table: string) =>
  Object.fromEntries(
    table
      .split('\n')
      .slice(2)
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((text) => text.trim()),
      )
      .map(([name, ...cells]) => [name, cells]),
  );

const [LONGER_RUN, LONGEST_RUN] = LONGER as [string, string];
const cells = [1, 2, 3].flatMap((seed) => [
  cell('random', seed, [5, 4.5, 4.2 + seed / 100]),
  cell(LONGER_RUN, seed, [5, 4.6, 4.3, 4.1]),
  cell(LONGEST_RUN, seed, [5, 4.7, 4.4, 4.15, 4]),
  cell('dsir', seed, [5, 4.4, 4.1 + seed / 100]),
  cell('dear', seed, [5, 4.35, 4.05], 7.5),
  cell('lookahead, every row', seed, [5, 4.3, 4 + seed / 100], 25),
  cell('lookahead, n-gram', seed, [5, 4.35, 4.05 + seed / 100], 2, 0.8),
]);

describe("the study's tables", () => {
  it('summarise the best method by size and reference set, also at equal operations', () => {
    const of = (references: string, size: string) =>
      [1, 2].flatMap((seed) =>
        [
          cell('random', seed, [5, 4.5, 4.2]),
          cell(LONGER_RUN, seed, [5, 4.6, 4.3, 4.1]),
          cell('lookahead + classifier score', seed, [5, 4.3, 4], 5),
          cell('classifier', seed, [5, 4.3, 4.1]),
        ].map((one) => ({ ...one, references, size })),
      );
    const lines = summaryTable([...of('lambada-plain', '1M'), ...of('python-docs', '12M'), ...of('lambada', '4M')]);
    const [head, , ...body] = lines
      .split('\n')
      .map((line) => line.split(' | ').map((text) => text.replace(/^\| | \|$/g, '')));
    expect(head).toEqual(['reference set', 'against', '1M', '4M', '12M']);
    const manual = body.filter(([name]) => name === "Python's manual");
    expect(manual.map(([, against]) => against)).toEqual([
      ...['random', 'random, equal operations', 'dsir', 'classifier', 'classifier + dsir score'],
    ]);
    expect(manual.map((cells) => cells[4])).toEqual([
      '−0.200 [−0.200, −0.200] (2)',
      '−0.100 [−0.100, −0.100] (2)', // 30 operations of training and 10 of selection: a stage more of random
      '–',
      '−0.100 [−0.100, −0.100] (2)',
      '–',
    ]);
    expect(manual.every((cells) => cells[2] === '–' && cells[3] === '–')).toBe(true);
    expect(body.find(([name]) => name === 'LAMBADA, plain')![2]).toBe('−0.200 [−0.200, −0.200] (2)');
  });

  it('pair each method with random and with DSIR by seed', () => {
    const table = rows(mainTable(cells));
    for (const longer of LONGER) expect(table[longer]).toBeUndefined();
    expect(Object.keys(table)[0]).toBe('lookahead, every row'); // the largest gain first
    expect(table['lookahead, n-gram']!.slice(0, 4)).toEqual([
      '3',
      '4.070',
      '−0.150 [−0.150, −0.150]',
      '−0.050 [−0.050, −0.050]',
    ]);
  });

  it('say how many pairs a difference has where that is not all of the seeds', () => {
    const more = [...cells, cell('dsir', 4, [5, 4.4, 4.1]), cell('lookahead, n-gram', 4, [5, 4.4, 4.05])];
    expect(rows(mainTable(more))['lookahead, n-gram']!.slice(0, 4)).toEqual([
      ...['4', '4.065', '−0.150 [−0.150, −0.150] (3)', '−0.050 [−0.050, −0.050]'],
    ]);
  });

  it('compare at equal operations, as far as the longer random run reaches', () => {
    expect(randomLossAt(cell(LONGER_RUN, 1, [5, 4.6, 4.3, 4.1]), 34)).toBeCloseTo(
      4.3 - (0.2 * Math.log(34 / 30)) / Math.log(40 / 30),
    );
    expect(randomLossAt(cell(LONGER_RUN, 1, [5, 4.6, 4.3, 4.1]), 41)).toBeUndefined();
    const table = rows(equalFlopsTable(cells));
    // 4 operations of selection beside 30 of training: random is at 4.213 by then
    expect(table['lookahead, n-gram']![0]).toBe('13 %');
    expect(table['lookahead, n-gram']![2]).toMatch(/^−0\.143 /);
    // 15 of selection: the run of two more stages is between 4.15 at 40 and 4 at 50
    expect(table.dear![2]).toMatch(/^−0\.021 /);
    expect(table['lookahead, every row']![2]).toMatch(/more than the longest random run/);
  });

  it('give the difference of a chosen method separately on the seeds it was chosen on and on the others, where there are both', () => {
    const [best] = CHOSEN as [string];
    const halves = [1, 2, 3, 4, 5, 6, 7].flatMap((seed) => [
      cell('dsir', seed, [5, 4.4, 4.1]),
      cell(best, seed, [5, 4.3, seed > 5 ? 4.09 : 4.05]),
    ]);
    const onlyFirst = [1, 2, 3, 4, 5].map((seed) => cell('random', seed, [5, 4.5, 4.2]));
    expect(rows(confirmedTable([...halves, ...onlyFirst]))).toEqual({
      [best]: ['dsir', '−0.050 [−0.050, −0.050]', '−0.010 [−0.010, −0.010] (2)'],
    });
    expect(confirmedTable(onlyFirst)).toBe('No difference has results of seeds 6 to 20 here.');
  });

  it("say what share of the labels' gain is kept, and how far a model is behind", () => {
    expect(rows(keptTable(cells))['lookahead, n-gram']!.slice(1, 4)).toEqual(['0.80', '0.150', '75 %']);
    expect(rows(driftTable(cells))['lookahead, n-gram']).toEqual(['0.80', '0.80', '0.70', '0.10 [0.10, 0.10]']);
    const onTheSameRows = [1, 2].map((seed) => {
      const { stages, ...rest } = cell('lookahead, n-gram', seed, [5, 4.35, 4.05], 2, 0.8);
      return { ...rest, stages: stages.map((each) => ({ ...each, freshSpearman: each.staleSpearman && 0.75 })) };
    });
    expect(rows(driftTable(onTheSameRows))['lookahead, n-gram']).toEqual(['0.80', '0.75', '0.70', '0.05 [0.05, 0.05]']);
  });
});
