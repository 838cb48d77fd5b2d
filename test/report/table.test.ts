import { describe, expect, it } from 'vitest';
import type { ArmSummary, RunSummary } from '../../core/formats.ts';
import { closingTable, summaryWarnings } from '../../report/table.ts';

const arm = (referenceLoss: number, heldOutLoss = 5): ArmSummary => ({
  tokens: 1000,
  trainingFlops: 1e9,
  trainingSeconds: 7,
  referenceLoss,
  heldOutLoss,
  mixedDomainLoss: 4,
  trainingLoss: 4,
});
const NOTHING_SELECTED = { selectionSeconds: 0, selectionFlops: 0 };
const SHARES = { mostSelected: { domain: 'novels', share: 0.41, poolShare: 0.152 } };
const summary: RunSummary = {
  format: 'mates-summary/1',
  runId: 'demo',
  name: 'demo',
  method: 'influence',
  seed: 1,
  warnings: ['The passages are odd.'],
  stages: [
    {
      stage: 0,
      scored: false,
      selectedRows: 960,
      poolRows: 1210,
      seconds: 8.25,
      ...NOTHING_SELECTED,
      ...SHARES,
      method: 'random',
      warnings: [],
      main: arm(5.31),
    },
    {
      stage: 1,
      scored: true,
      selectedRows: 974,
      poolRows: 4870,
      seconds: 200,
      selectionSeconds: 90,
      selectionFlops: 5e9,
      ...SHARES,
      method: 'influence',
      warnings: ['The selection collapses.'],
      spearman: 0.06,
      spearmanInterval: [-0.14, 0.27],
      main: arm(5.11, 4.99),
      control: arm(5.17),
    },
  ],
};

describe('closingTable', () => {
  it('says where the steps took fewer rows than were selected', () => {
    const [first, last] = summary.stages;
    const table = (consumedRows?: number) =>
      closingTable({ ...summary, stages: [first!, { ...last!, consumedRows }] }, { color: false });
    expect(table(480)).toMatch(/\nSelected rows that the steps took, drawn at random: stage 1: 480\.$/);
    expect(table(974)).not.toContain('the steps took');
    expect(table()).not.toContain('the steps took'); // an older file
  });

  it('has one row a stage', () => {
    expect(closingTable(summary, { color: false })).toMatchInlineSnapshot(`
      "┌───────┬────────────────┬────────────────┬───────────────────┬─────────────────────┬─────────────────────────┬───────────────┬────────────┐
      │ stage │ reference loss │  held-out loss │ mixed-domain loss │ Spearman [interval] │ most selected (of pool) │ rows selected │       time │
      ├───────┼────────────────┼────────────────┼───────────────────┼─────────────────────┼─────────────────────────┼───────────────┼────────────┤
      │     0 │          5.310 │          5.000 │             4.000 │                   – │      novels 41% (15.2%) │  960 of 1,210 │      8.3 s │
      │     1 │ 5.110 (−0.060) │ 4.990 (−0.010) │     4.000 (0.000) │  0.06 [−0.14, 0.27] │      novels 41% (15.2%) │  974 of 4,870 │ 3 min 20 s │
      └───────┴────────────────┴────────────────┴───────────────────┴─────────────────────┴─────────────────────────┴───────────────┴────────────┘
      In parentheses after a loss: its difference from the control's, after rounding; negative favours selection."
    `);
  });

  it('is followed by what a user should know', () => {
    expect(summaryWarnings(summary)).toEqual([
      'Warning: The passages are odd.',
      'Warning: stage 1: The selection collapses.',
    ]);
    const { warnings: _, ...older } = summary;
    expect(summaryWarnings(older)).toEqual(['Warning: stage 1: The selection collapses.']);
  });

  it.each([80, 60])('is readable on a terminal of %i columns', (columns) => {
    const lines = closingTable(summary, { color: false, columns }).split('\n').slice(0, -1);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    expect(lines.slice(0, 8).map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['stage 0'],
      ['reference loss', '5.310'],
      ['held-out loss', '5.000'],
      ['mixed-domain loss', '4.000'],
      ['Spearman [interval]', '\u2013'],
      ['most selected (of pool)', 'novels 41% (15.2%)'],
      ['rows selected', '960 of 1,210'],
      ['time', '8.3 s'],
    ]);
    const wide = closingTable(summary, { color: false });
    expect(closingTable(summary, { color: false, columns: wide.indexOf('\n') })).toBe(wide);
  });

  it('does not treat training on the reference passages as a selection', () => {
    const table = closingTable({ ...summary, method: 'train-on-reference' }, { color: false });
    expect(table).toContain('go by the held-out loss');
    expect(table).not.toContain('favours selection');
  });

  it('has no control columns without a control', () => {
    const alone = { ...summary, stages: summary.stages.map((stage) => ({ ...stage, control: undefined })) };
    expect(closingTable(alone, { color: false })).not.toContain('control');
  });

  it('shows both ends of a long name of a domain', () => {
    const mostSelected = { domain: 'common-crawl-2024-part-00017', share: 0.5, poolShare: 0.25 };
    const long = { ...summary, stages: summary.stages.map((stage) => ({ ...stage, mostSelected })) };
    expect(closingTable(long, { color: false })).toContain(' common-cra\u2026art-00017 50% (25%)');
  });

  it('colours only when told to', () => {
    const code = String.fromCharCode(27);
    expect(closingTable(summary, { color: false })).not.toContain(code);
    const colored = closingTable(summary, { color: true });
    expect(colored).toContain(`5.110 (${code}[32m\u22120.060`);
    expect(colored).toContain('4.000 (0.000)'); // a difference of zero is neither good nor bad
  });
});
