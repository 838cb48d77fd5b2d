import { describe, expect, it } from 'vitest';
import { orderedKey } from '../../core/selection/keys.ts';
import { hasScores, readScoreIndex, writeScores } from '../../core/selection/scores.ts';
import { MemoryStore } from '../memory-store.ts';
import { fakeCorpus, wholeShards } from './pool.ts';

const recipe = { noise: { seed: 1, stage: 2 }, temperature: 0.5, gumbel: 'exact' } as const;

describe('writeScores', () => {
  const corpus = fakeCorpus(100, [0, 60]);
  const utilities = Float32Array.from({ length: 100 }, (_, i) => (i * 37) % 101);

  it('writes utilities in row order, keys by group, and the index last', async () => {
    const store = new MemoryStore();
    expect(await hasScores(store, 'scores/00000')).toBe(false);
    await writeScores(store, 'scores/00000', { ...recipe, ranges: wholeShards(corpus), utilities, corpus });
    expect(await hasScores(store, 'scores/00000')).toBe(true);
    expect([...store.files.keys()].at(-1)).toBe('scores/00000/index.json');
    const index = await readScoreIndex(store, 'scores/00000');
    expect(index.rows).toBe(100);
    expect(index.histogram).toMatchObject({ min: 0, max: 100 });
    expect(index.domains).toEqual({ code: 34, essays: 33, letters: 33 });
    expect(new Float32Array(store.files.get(index.scores.key)!.buffer)).toEqual(utilities);
    const records = new Uint32Array(store.files.get(index.keys.key)!.buffer);
    const groups = Array.from({ length: 100 }, (_, i) => records[3 * i]! >>> 16);
    expect(groups).toEqual(groups.toSorted((a, b) => b - a));
    expect(index.groups.flatMap((group, i) => new Array<number>(index.counts[i]!).fill(group))).toEqual(groups);
  });

  it('keeps the highest and lowest documents with their text and domain', async () => {
    const store = new MemoryStore();
    await writeScores(store, 'a', { ...recipe, ranges: wholeShards(corpus), utilities, corpus });
    const { highest, lowest } = (await readScoreIndex(store, 'a')).extremes;
    const best = utilities.indexOf(100);
    expect(highest).toHaveLength(8);
    expect(highest[0]).toEqual({
      row: best,
      utility: 100,
      domain: ['code', 'essays', 'letters'][(best * 7) % 3],
      text: `Text of row ${best}.`,
    });
    expect(lowest.map(({ utility }) => utility)).toEqual(
      Array.from(utilities)
        .sort((a, b) => a - b)
        .slice(0, 8),
    );
  });

  it.each(['x', '\u{1F600}'])('cuts their text at 400 characters, and none of them in half: %s', async (character) => {
    const store = new MemoryStore();
    const long = { ...corpus, texts: async (rows: ArrayLike<number>) => Array.from(rows, () => character.repeat(500)) };
    await writeScores(store, 'a', { ...recipe, ranges: wholeShards(corpus), utilities, corpus: long });
    const { highest, lowest } = (await readScoreIndex(store, 'a')).extremes;
    for (const { text } of [...highest, ...lowest]) expect(text).toBe(character.repeat(400));
  });

  it('writes the same bytes again', async () => {
    const [first, second] = [new MemoryStore(), new MemoryStore()];
    for (const store of [first, second])
      await writeScores(store, 'a', { ...recipe, ranges: wholeShards(corpus), utilities, corpus });
    expect(second.files).toEqual(first.files);
  });

  it('takes an empty shard, one row and infinite utilities', async () => {
    const store = new MemoryStore();
    await writeScores(store, 'none', { ...recipe, ranges: [], utilities: new Float32Array(0), corpus });
    expect(await readScoreIndex(store, 'none')).toMatchObject({
      rows: 0,
      groups: [],
      extremes: { highest: [], lowest: [] },
    });
    const ranges = [{ shard: 1, begin: 77, end: 78 }];
    await writeScores(store, 'one', { ...recipe, ranges, utilities: Float32Array.of(Infinity), corpus });
    const index = await readScoreIndex(store, 'one');
    expect(index.histogram).toBeUndefined();
    expect(index.groups).toEqual([orderedKey(Infinity) >>> 16]);
    expect(index.extremes.highest[0]!.utility).toBe(3.4028234663852886e38);
  });

  it('refuses a utility that is not a number, by its global row', async () => {
    const ranges = [
      { shard: 0, begin: 20, end: 23 },
      { shard: 1, begin: 70, end: 72 },
    ];
    const writing = writeScores(new MemoryStore(), 'a', {
      ...recipe,
      ranges,
      utilities: Float32Array.of(1, 2, 3, 4, NaN),
      corpus,
    });
    await expect(writing).rejects.toThrow('row 71: its score is not a number');
  });

  it('refuses ranges that do not ascend and utilities that do not match', async () => {
    const ranges = [
      { shard: 0, begin: 20, end: 23 },
      { shard: 0, begin: 22, end: 24 },
    ];
    const write = (count: number) =>
      writeScores(new MemoryStore(), 'a', { ...recipe, ranges, utilities: new Float32Array(count), corpus });
    await expect(write(5)).rejects.toThrow('rows 22 to 24');
    await expect(write(4)).rejects.toThrow('4 utilities for 5 rows');
  });
});
