import { describe, expect, it } from 'vitest';
import { collectReportData } from '../../report/data.ts';
import { renderReport } from '../../report/render.ts';
import { taskTable } from '../../report/task-table.ts';
import { memoryOpener } from '../memory-store.ts';
import { type FixtureOptions, writeFixture } from './fixture.ts';

/** The section's table as rows of cells, or undefined when there is no section. */
async function tasksOf(options: FixtureOptions): Promise<string[][] | undefined> {
  const open = memoryOpener();
  await writeFixture(open('memory:run'), options);
  const page = renderReport(await collectReportData(open, 'memory:run'));
  expect(page).not.toMatch(/undefined|NaN|\[object/);
  const [section] = /<section id="tasks"[\s\S]*?<\/section>/.exec(page) ?? [];
  return section
    ?.match(/<tr>.*?<\/tr>/g)
    ?.map((row) => Array.from(row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g), ([, cell]) => cell!));
}

describe("the report's zero-shot section", () => {
  it('is there only when tasks are configured', async () => {
    expect(await tasksOf({})).toBeUndefined();
  });

  it('compares both runs by paired differences', async () => {
    expect(await tasksOf({ tasks: true })).toEqual([
      ['task', 'metric', 'selected', 'random', 'diff.'],
      // 6 and 4 of 10 right, of which 4 in both: differences of 1 twice and 0 eight times
      ['quiz', 'acc', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 13.3%'],
      ['quiz', 'acc_norm', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 13.3%'],
      ['names', 'acc', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 13.3%'],
      ['words', 'acc', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 13.3%'],
      ['words', 'perplexity', '3.1e5 \u00b1 1,234', '3.1e5 \u00b1 1,234', '\u2013'],
      ['lines', 'bits per byte', '1.700', '1.700', '\u2013'],
      // two tasks: 13.3% times the root of 2, over 2
      ['mean of 2 choice tasks', 'acc', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 9.4%'],
      ['mean of 2 choice tasks', 'acc_norm', '60.0% \u00b1 15.0%', '40.0% \u00b1 15.0%', '+20.0% \u00b1 9.4%'],
    ]);
  });

  it('shows one run alone, and the last stage that both have', async () => {
    const alone = await tasksOf({ tasks: true, control: 'none' });
    expect(alone![1]).toEqual(['quiz', 'acc', '60.0% \u00b1 15.0%']);
    const begun = await tasksOf({ tasks: true, stopAt: 1 });
    expect(begun![1]).toEqual(['quiz', 'acc', '30.0% \u00b1 15.0%']);
  });
});

describe('the table on a terminal', () => {
  it('has the columns that its tasks need', () => {
    const accuracy = { acc: 0.25, accStderr: 0.0433 };
    const plain = taskTable([{ task: 'names', layout: 'contexts', items: 1267, ...accuracy, correct: '' }], {
      color: false,
    });
    expect(plain).toContain('\u2502 names \u2502 1,267 \u2502 0.2500 \u00b1 0.0433 \u2502');
    expect(plain).not.toMatch(/acc_norm|perplexity|mean|bits/);
    const both = taskTable(
      [
        { task: 'names', layout: 'contexts', items: 9, ...accuracy, correct: '' },
        { task: 'quiz', layout: 'choices', items: 9, ...accuracy, accNorm: 0.35, accNormStderr: 0.05, correct: '' },
      ],
      { color: false },
    );
    expect(both).toMatch(/mean of 2 choice tasks \u2502 +\u2502 0\.2500 \u00b1 0\.0306 \u2502 0\.3000 \u00b1 0\.0331/);
  });
});
