/**
 * `write-selection.ts DIRECTORY`: selections of a pool of 300,000 rows, scored by three jobs, one folder each:
 * selection.json, and the selected rows and their keys as rows.f64 and keys.u32; where there are scores, also the rows
 * that one process selects from all of them in memory, as memory.f64.
 */

import { readParquet } from '../../core/parquet.ts';
import { CounterRandom } from '../../core/random/philox.ts';
import type { KeyRecipe } from '../../core/selection/keys.ts';
import { selectInMemory } from '../../core/selection/merging/one-process.ts';
import { writeScores } from '../../core/selection/scores.ts';
import { selectRows } from '../../core/selection/select.ts';
import { DirectoryStore, putJson } from '../../core/storage/index.ts';

const ROWS = 300_000;
/** The pool begins above 2^32, so that both words of the row's counter matter. */
const FIRST_ROW = 2 ** 32 - 1000;
const ARMS = {
  exact: { method: 'influence', arm: 'main', gumbel: 'exact' },
  'reference-code': { method: 'influence', arm: 'main', gumbel: 'reference-code' },
  control: { method: 'random', arm: 'control', gumbel: 'exact' },
} as const;

const store = new DirectoryStore(process.argv[2]!);
await store.put('domains.u16', new Uint8Array(2 * ROWS));
const file = { key: 'domains.u16', bytes: 2 * ROWS, sha256: '' };
const corpus = {
  store,
  index: {
    domains: [{ name: 'only', rows: ROWS }],
    shards: [{ firstRow: FIRST_ROW, rows: ROWS, tokens: file, text: file, domains: file }],
  },
  texts: async (rows: ArrayLike<number> | object) => Array.from(rows as number[], String),
};
const random = new CounterRandom(5, 1000);
const jobs = [0, 1, 2].map((i) => ({ shard: 0, begin: FIRST_ROW + i * 100_000, end: FIRST_ROW + (i + 1) * 100_000 }));

for (const [name, { method, arm, gumbel }] of Object.entries(ARMS)) {
  const recipe: KeyRecipe = { noise: { seed: 2 ** 45 + 12345, stage: 3, arm }, temperature: 0.5, gumbel };
  const scorePrefixes: string[] = [];
  const scores: Float32Array[] = [];
  for (const [i, range] of jobs.entries()) {
    if (method === 'random') break;
    const utilities = Float32Array.from({ length: range.end - range.begin }, (_, j) => random.normal(100_000 * i + j));
    scorePrefixes.push(`${name}/scores/${i}`);
    scores.push(utilities);
    await writeScores(store, scorePrefixes[i]!, { ...recipe, ranges: [range], utilities, corpus });
  }
  const [selectionKey, summaryKey] = [`${name}/selection.parquet`, `${name}/selection.json`];
  const pool = [{ ...jobs[0]!, end: FIRST_ROW + ROWS }];
  const selectedRows = ROWS / 5;
  await selectRows({ store, corpus, method, recipe, pool, selectedRows, scorePrefixes, selectionKey, summaryKey });
  const { row, key } = await readParquet(await store.get(selectionKey), { row: 'INT64', key: 'INT64' });
  await store.put(`${name}/rows.f64`, new Uint8Array(Float64Array.from(row).buffer));
  await store.put(`${name}/keys.u32`, new Uint8Array(Uint32Array.from(key).buffer));
  if (method === 'influence') {
    const utilities = Float32Array.from(scores.flatMap((part) => [...part]));
    const { positions } = selectInMemory({ ranges: pool, utilities }, selectedRows, recipe);
    const rows = Float64Array.from(positions, (position) => FIRST_ROW + position);
    await store.put(`${name}/memory.f64`, new Uint8Array(rows.buffer));
  }
  await putJson(store, `${name}/request.json`, { recipe, pool, selectedRows, scorePrefixes });
}
