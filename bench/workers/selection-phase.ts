/** `selection-phase.ts FOLDER ROWS JOBS PHASE`: one phase of `bench/selection.ts`. */
import { CounterRandom } from '../../core/random/philox.ts';
import type { KeyRecipe } from '../../core/selection/keys.ts';
import { findCut, openScores } from '../../core/selection/merging/merge.ts';
import { randomCut } from '../../core/selection/random.ts';
import { writeScores } from '../../core/selection/scores.ts';
import { selectRows } from '../../core/selection/select.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { oneTurn } from '../one-turn.ts';
import type { SelectionPhase } from '../selection.ts';

const [folder = '', rowsGiven, jobsGiven, phase] = process.argv.slice(2);
const [rows, jobs] = [Number(rowsGiven), Number(jobsGiven)];
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

const phases: Record<SelectionPhase, () => Promise<unknown>> = {
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
    await findCut(store, pool, k);
  },
  'select by influence': () => select('influence'),
  'find the random cut': async () => {
    randomCut(ranges, k, { ...recipe.noise, arm: 'control' });
  },
  'select at random': () => select('random'),
};

async function select(method: 'influence' | 'random'): Promise<void> {
  await selectRows({
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
}

await oneTurn(() => phases[phase as SelectionPhase]().then(() => undefined));
