/**
 * `npx tsx bench/study/analyse.ts`: makes docs/results.json from the available results, renews the tables of
 * docs/results.md and README.md, which lie between the markers `<!-- table NAME SIZE REFERENCES -->` and
 * `<!-- end -->`, and draws the pictures in docs/results.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Comparison, compareRuns } from '../../core/compare/compare.ts';
import type { RunSummary } from '../../core/formats.ts';
import { courseChart, gainsChart } from './charts.ts';
import { SIZES } from './grid.ts';
import {
  type Agreement,
  accuracyTable,
  agreementTable,
  type CellResult,
  confirmedTable,
  domainTable,
  driftTable,
  equalFlopsTable,
  finalDifferences,
  keptTable,
  mainTable,
  sizesTable,
  summaryTable,
} from './tables.ts';

const RESULTS = join(import.meta.dirname, 'results');
const DOCS = join(import.meta.dirname, '../../docs');
/** The pages that have tables of results. */
export const PAGES = [join(DOCS, 'results.md'), join(DOCS, '../README.md')];
const SHOWN = [
  ...['random', 'dsir', 'classifier', 'lookahead, every row', 'lookahead, n-gram + dsir'],
  ...['lookahead, n-gram + dsir, 4000 labels, T 0.2', 'lookahead + classifier score'],
];

const TABLES: Record<string, (cells: readonly CellResult[]) => string> = {
  main: mainTable,
  accuracy: accuracyTable,
  sizes: sizesTable,
  summary: summaryTable,
  confirmed: confirmedTable,
  flops: equalFlopsTable,
  kept: keptTable,
  drift: driftTable,
  domains: (cells) => domainTable(cells, SHOWN),
};

export interface Results {
  cells: CellResult[];
  /** Cells that were run again, with the questions asked. */
  asked: CellResult[];
  agreements: Agreement[];
}

export async function readResults(folder = RESULTS): Promise<Results> {
  const read = async (folder: string, pattern: RegExp) => {
    const names = (await readdir(folder)).filter((name) => pattern.test(name)).sort();
    return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))));
  };
  const [cell, agreement] = [/^\d+M-.*\.json$/, /^agreement-.*\.json$/];
  return {
    cells: await read(folder, cell),
    asked: await read(join(folder, 'accuracy'), cell),
    agreements: await read(folder, agreement),
  };
}

/** The document with its tables made from the results. */
export function withTables(document: string, { cells: all, asked, agreements }: Results): string {
  return document.replace(
    /<!-- table (\w+) ([\w-]+) ([\w-]+) -->\n[\s\S]*?<!-- end -->/g,
    (whole, name: string, size: string, references: string) => {
      const table = name === 'agreement' ? () => agreementTable(agreements) : TABLES[name];
      if (!table) throw new Error(`There is no table ${name}; there are ${Object.keys(TABLES).join(', ')}.`);
      const cells = (name === 'accuracy' ? asked : all).filter(
        (cell) =>
          (size === 'all' ? cell.size in SIZES : cell.size === size) && [cell.references, 'all'].includes(references),
      );
      return `${whole.slice(0, whole.indexOf('\n'))}\n\n${table(cells)}\n\n<!-- end -->`;
    },
  );
}

interface Group {
  size: string;
  references: string;
  cells: CellResult[];
  comparison: Comparison;
}

/** The cells by size and reference set, compared with random; without a cell of random there is nothing to compare with. */
export function groupsOf(results: readonly CellResult[]): Group[] {
  const random = results.filter(({ method }) => method === 'random');
  const names = [...new Set(random.map(({ size, references }) => `${size} ${references}`))].sort();
  return names.map((name) => {
    const [size, references] = name.split(' ') as [string, string];
    const cells = results.filter((cell) => cell.size === size && cell.references === references);
    const summaries = cells.map((cell) => ({ ...cell, name: cell.method }) as unknown as RunSummary);
    return {
      size,
      references,
      cells,
      comparison: compareRuns(
        summaries.map((summary) => ({ summary })),
        'random',
      ),
    };
  });
}

if (process.argv[1] === import.meta.filename) {
  const results = await readResults();
  const groups = groupsOf(results.cells);
  const data = groups.map(({ size, references, comparison }) => ({
    size,
    references,
    methods: finalDifferences(comparison),
  }));
  await writeFile(join(DOCS, 'results.json'), `${JSON.stringify(data, null, 1)}\n`);
  await mkdir(join(DOCS, 'results'), { recursive: true });
  for (const { size, references, cells, comparison } of groups) {
    const name = `${size}-${references}`;
    const title = `${size.replace('-trained', '')} parameters${size.includes('trained') ? ', trained before' : ''}, ${references}`;
    await writeFile(join(DOCS, 'results', `course-${name}.svg`), courseChart(title, comparison.courses));
    if (comparison.labels.length > 4)
      await writeFile(join(DOCS, 'results', `gains-${name}.svg`), gainsChart(title, cells));
  }
  for (const page of PAGES) await writeFile(page, withTables(await readFile(page, 'utf8'), results));
}
