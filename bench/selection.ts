/**
 * Speed and memory of the selection: `npx tsx bench/selection.ts [ROWS [JOBS [FOLDER]]]`, by default 20 million rows in
 * 74 jobs, as many rows a job as 217 million in 800. Writes some 18 bytes a row to FOLDER (a temporary one by default)
 * and removes them. Each phase is a process of its own, so that its peak memory can be told.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CounterRandom } from '../core/random/philox.ts';
import type { KeyRecipe } from '../core/selection/keys.ts';
import { findCut, openScores } from '../core/selection/merge.ts';
import { randomCut } from '../core/selection/random.ts';
import { writeScores } from '../core/selection/scores.ts';
import { selectRows } from '../core/selection/select.ts';
import { DirectoryStore } from '../core/storage/index.ts';

const [rowsGiven = '20000000', jobsGiven = '74', folderGiven, phase] = process.argv.slice(2);
const [rows, jobs] = [Number(rowsGiven), Number(jobsGiven)];
const folder = folderGiven ?? mkdtempSync(join(tmpdir(), 'selection-'));
const store = new DirectoryStore(folder);
const recipe: KeyRecipe = { noise: { seed: 1, stage: 1, arm: 'main' }, temperature: 0.5, gumbel: 'exact' };
const k = Math.floor(rows / 5);

const firstRow = (job: number) => Math.floor((rows * job) / jobs);
const ranges = Array.from({ length: jobs }, (_, i) => ({ shard: i, begin: firstRow(i), end: firstRow(i + 1) }));
const domains = ['books', 'code', 'forums', 'news'].map((name) => ({ name, rows: rows / 4 }));
const shards = ranges.map(({ begin, end }, i) => {
  const file = { key: `domains/${i}.u16`, bytes: 2 * (end - begin), sha256: '' };
  return { firstRow: begin, rows: end - begin, tokens: file, text: file, domains: file };
});
const texts = async (wanted: ArrayLike<number> | object) => Array.from(wanted as number[], (row) => `Text ${row}`);
const corpus = { store, index: { domains, shards }, texts };
const scorePrefixes = ranges.map((_, i) => `scores/${i}`);

const phases: Record<string, () => Promise<void>> = {
  'write scores': async () => {
    const random = new CounterRandom(9, 1000);
    for (const [i, range] of ranges.entries()) {
      const count = range.end - range.begin;
      await store.put(
        shards[i]!.domains.key,
        new Uint8Array(Uint16Array.from({ length: count }, (_, j) => j % 4).buffer),
      );
      const utilities = Float32Array.from({ length: count }, (_, j) => random.normal(range.begin + j));
      await writeScores(store, scorePrefixes[i]!, { ...recipe, ranges: [range], utilities, corpus });
    }
  },
  'find the cut': async () => {
    const pool = await openScores(store, scorePrefixes, recipe, ranges);
    console.log(JSON.stringify(await findCut(store, pool, k)));
  },
  'select by influence': () => select('influence'),
  'find the random cut': async () => {
    console.log(JSON.stringify(randomCut(ranges, k, { ...recipe.noise, arm: 'control' })));
  },
  'select at random': () => select('random'),
};

async function select(method: 'influence' | 'random'): Promise<void> {
  const { file } = await selectRows({
    store,
    corpus,
    method,
    recipe,
    pool: ranges,
    selectedRows: k,
    scorePrefixes,
    selectionKey: `${method}.parquet`,
    summaryKey: `${method}.json`,
  });
  console.log(`${Math.round(file.bytes / 1e6)} MB`);
}

if (phase) await phases[phase]!();
else {
  console.log(`${rows} rows, ${jobs} jobs, ${k} selected`);
  for (const name of Object.keys(phases)) run(name);
  if (!folderGiven) rmSync(folder, { recursive: true });
}

/** Runs a phase in a process of its own and prints its time, CPU time and peak memory. */
function run(name: string): void {
  const script = `
    process.argv[1] = ${JSON.stringify(import.meta.filename)};
    process.argv.splice(2, 4, ${[rowsGiven, jobsGiven, folder, name].map((text) => JSON.stringify(text)).join(', ')});
    const started = performance.now();
    await import(${JSON.stringify(import.meta.url)});
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const seconds = (value) => (value / 1e6).toFixed(1);
    console.log(seconds((performance.now() - started) * 1000) + ' s, ' + seconds(userCPUTime + systemCPUTime) + ' CPU s, peak ' + Math.round(maxRSS / 1024) + ' MB');`;
  const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  if (child.status !== 0) throw new Error(child.stderr);
  console.log(`${name.padEnd(20)} ${child.stdout.trim().replaceAll('\n', ', ')}`);
}
