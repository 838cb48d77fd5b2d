import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../core/config/load.ts';
import type { CorpusIndex, SelectionSummary } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { readParquet } from '../../core/parquet.ts';
import { planStage } from '../../core/plan/stage-plan.ts';
import type { KeyRecipe } from '../../core/selection/keys.ts';
import { METHODS, type Method } from '../../core/selection/methods.ts';
import { type SelectionRequest, selectionRequest, selectRows } from '../../core/selection/select.ts';
import { MemoryStore } from '../memory-store.ts';
import { DOMAINS, deal, domainOf, fakeCorpus, naive, score, wholeShards } from './pool.ts';

const n = 3000;
const k = 700;
const corpus = fakeCorpus(n, [0, 1000, 1000, 2200]);
const utilities = Float32Array.from({ length: n }, (_, i) => (i === 5 ? -Infinity : Math.sin(i) + domainOf(i)));
const recipe: KeyRecipe = { noise: { seed: 2, stage: 1, arm: 'main' }, temperature: 0.5, gumbel: 'exact' };
const requested = (store: MemoryStore, scorePrefixes: string[]): SelectionRequest => ({
  store,
  corpus,
  method: scorePrefixes.length ? 'influence' : 'random',
  recipe,
  pool: wholeShards(corpus),
  selectedRows: k,
  scorePrefixes,
  selectionKey: 'stages/1/selection.parquet',
  summaryKey: 'stages/1/selection.json',
});
const select = async (jobs: number, inMemory = false) => {
  const { store, prefixes } = await score(
    corpus,
    deal(wholeShards(corpus), jobs, (p) => p, 97),
    utilities,
    recipe,
  );
  return { store, summary: await selectRows({ ...requested(store, prefixes), inMemory }) };
};

describe('selectRows', () => {
  it('writes the selected rows with their domains, utilities and keys, in order of rows', async () => {
    const { store, summary } = await select(3);
    const bytes = store.files.get('stages/1/selection.parquet')!;
    expect(summary.file).toEqual({ key: 'stages/1/selection.parquet', bytes: bytes.length, sha256: sha256(bytes) });
    const file = await readParquet(bytes, { row: 'INT64', domain: 'STRING', utility: 'FLOAT', key: 'INT64' });
    expect(file.row).toEqual(naive(wholeShards(corpus), utilities, k, recipe));
    expect(file.domain).toEqual(file.row.map((row) => DOMAINS[domainOf(row)]));
    expect(file.utility).toEqual(file.row.map((row) => utilities[row]));
    expect(Math.min(...file.key)).toBe(summary.threshold);
  });

  it('sums up the pool and the selection', async () => {
    const { store, summary } = await select(2);
    expect(JSON.parse(new TextDecoder().decode(store.files.get('stages/1/selection.json')))).toEqual(summary);
    expect(summary).toMatchObject({
      method: 'influence',
      poolRows: n,
      selectedRows: k,
      seed: 2,
      stage: 1,
      tiesKept: 1,
    });
    expect(summary.poolDomains).toEqual({ code: 1000, essays: 1000, letters: 1000 });
    const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0);
    expect(sum(Object.values(summary.selectedDomains))).toBe(k);
    expect(summary.selectedDomains.letters).toBeGreaterThan(summary.selectedDomains.code!);
    const { edges, pool, selected } = summary.histogram!;
    expect([edges.length - 1, sum(pool), sum(selected)]).toEqual([pool.length, n - 1, k]); // one is infinite
    expect(selected.every((count, i) => count <= pool[i]!)).toBe(true);
    expect(summary.extremes!.lowest[0]).toMatchObject({ row: 5, text: 'Text of row 5.' });
  });

  it('gives the same bytes for any number of jobs, in memory or not, and when asked again', async () => {
    const cases: [number, boolean][] = [
      [1, false],
      [2, false],
      [7, false],
      [1, true],
      [3, true],
    ];
    const results = await Promise.all(cases.map(([jobs, inMemory]) => select(jobs, inMemory)));
    const bytes = ({ store }: { store: MemoryStore }) =>
      ['selection.parquet', 'selection.json'].map((name) => store.files.get(`stages/1/${name}`));
    for (const result of results) expect(bytes(result)).toEqual(bytes(results[0]!));
    const { store, summary } = results[1]!;
    store.reads.length = 0;
    expect(await selectRows(requested(store, ['gone']))).toEqual(summary);
    expect(store.reads).toHaveLength(1);
  });

  it("has the domains in the corpus's order, whichever job has the first of them", async () => {
    const [first, ...others] = wholeShards(corpus);
    const without = { ...first!, begin: 1, end: 3 }; // rows of the second and the third domain
    const jobs = [[without], [{ ...first!, end: 1 }, { ...first!, begin: 3 }, ...others]];
    const { store, prefixes } = await score(corpus, jobs, utilities, recipe);
    const { poolDomains } = await selectRows(requested(store, prefixes));
    expect(Object.keys(poolDomains)).toEqual(DOMAINS);
    const { store: own } = await select(1);
    expect(store.files.get('stages/1/selection.json')).toEqual(own.files.get('stages/1/selection.json'));
  });

  it('takes scores that were written for another temperature in memory, and only there', async () => {
    const warm = { ...recipe, temperature: 2 };
    const { store, prefixes } = await score(corpus, [wholeShards(corpus)], utilities, warm);
    await expect(selectRows(requested(store, prefixes))).rejects.toThrow('was scored for');
    await selectRows({ ...requested(store, prefixes), inMemory: true });
    const { store: own } = await select(1);
    const bytes = (of: MemoryStore) => of.files.get('stages/1/selection.parquet');
    expect(bytes(store)).toEqual(bytes(own));
  });

  it('selects at random without scores', async () => {
    const store = new MemoryStore();
    const summary: SelectionSummary = await selectRows(requested(store, []));
    const { row, utility } = await readParquet(store.files.get('stages/1/selection.parquet')!, {
      row: 'INT64',
      utility: 'FLOAT',
    });
    expect(row).toEqual(naive(wholeShards(corpus), new Float32Array(n), k, recipe));
    expect(new Set(utility)).toEqual(new Set([0]));
    expect(summary.histogram).toBeUndefined();
    expect(Object.keys(summary.poolDomains)).toEqual(DOMAINS);
  });

  it('notices damaged scores', async () => {
    const { store, prefixes } = await score(corpus, [wholeShards(corpus)], utilities, recipe);
    const key = `${prefixes[0]}/keys.bin`;
    await store.put(key, store.files.get(key)!.slice(0, 600));
    await expect(selectRows(requested(store, prefixes))).rejects.toThrow('keys.bin is shorter than its index says');
  });

  it('notices a key that has lost its bits, and writes no summary', async () => {
    const { store, prefixes } = await score(corpus, [wholeShards(corpus)], utilities, recipe);
    const key = `${prefixes[0]}/keys.bin`;
    const damaged = store.files.get(key)!.slice();
    damaged.fill(0, 0, 4); // of the first record, whose key is among the highest
    await store.put(key, damaged);
    await expect(selectRows(requested(store, prefixes))).rejects.toThrow(`${k - 1} rows were selected instead of ${k}`);
    expect(await store.size('stages/1/selection.json')).toBeUndefined();
  });
});

describe('what a plan asks for', () => {
  const shards = Array.from({ length: 20 }, (_, i) => ({ firstRow: 1000 * i, rows: 1000 }));
  const index = { shards, rows: 20_000, domains: [{ name: 'a', rows: 20_000 }] } as unknown as CorpusIndex;
  const configOf = (method: Method) =>
    parseConfig(
      {
        corpus: { input: ['a'] },
        reference: { input: 'r' },
        heldOut: { input: 'h' },
        selection: { method, gumbel: 'reference-code', temperature: 0.2 },
        probe: { method: 'lookahead' },
      },
      'test configuration',
    );
  const asked = (method: Method, arm: 'main' | 'control', by?: { method: Method; temperature?: number }, stage = 1) => {
    const config = configOf(method);
    const plan = planStage(config, index, stage);
    const source = { index } as unknown as Parameters<typeof selectionRequest>[1];
    const request = selectionRequest(new MemoryStore(), source, config, plan, arm, by);
    const { temperature, gumbel } = request.recipe;
    return { method: request.method, temperature, gumbel, byScore: request.scorePrefixes.length > 0 };
  };
  const dsir = { method: 'dsir', temperature: 1 } as const;
  const atRandom = { temperature: 0.2, gumbel: 'exact', byScore: false };
  const theirs = { temperature: 0.2, gumbel: 'reference-code', byScore: true };

  it('follows the scorer, also where that stands in for the configured method', () => {
    expect(asked('influence', 'main', { method: 'influence' })).toEqual({ method: 'influence', ...theirs });
    const resampled = { method: 'dsir', temperature: 1, gumbel: 'exact', byScore: true };
    for (const method of ['dsir', 'influence', 'hard-top-k'] as const)
      expect(asked(method, 'main', dsir)).toEqual(resampled);
    expect(asked('hard-top-k', 'main', { method: 'hard-top-k' })).toMatchObject({ gumbel: 'none', byScore: true });
    expect(asked('hard-top-k', 'main', { method: 'random' })).toMatchObject({ method: 'random', byScore: false });
  });

  it('takes random rows in the first stage and in the control, whatever the method', () => {
    for (const method of METHODS) {
      expect(asked(method, 'main', undefined, 0)).toMatchObject({ method: 'random', byScore: false });
      expect(asked(method, 'control', dsir)).toEqual({ ...atRandom, method: 'random' });
    }
    expect(asked('train-on-reference', 'main')).toEqual({ ...atRandom, method: 'train-on-reference' });
  });

  it.each([
    [0, 'main'],
    [1, 'control'],
  ] as const)(
    'of random rows, in stage %i in the %s arm, has the recipe by which they are picked',
    async (stage, arm) => {
      const rows = 20_000;
      const pool = fakeCorpus(
        rows,
        shards.map(({ firstRow }) => firstRow),
      );
      const config = configOf('influence');
      const plan = { ...planStage(config, index, stage), selectedRows: 40 };
      const store = new MemoryStore();
      const source = { ...pool, index: { ...pool.index, rows } } as unknown as Parameters<typeof selectionRequest>[1];
      const request = selectionRequest(store, source, config, plan, arm);
      const summary = await selectRows(request);
      const { row } = await readParquet(store.files.get(request.selectionKey)!, { row: 'INT64' });
      const { seed, temperature, gumbel } = summary;
      const documented: KeyRecipe = { noise: { seed, stage: summary.stage, arm }, temperature, gumbel };
      expect(row).toEqual(naive(request.pool, new Float32Array(rows), 40, documented));
    },
  );
});
