/** Documents by the scores of their rows. */
import { describe, expect, it } from 'vitest';
import { cutDocuments, documentLines, documentScores, partLengths } from '../../bin/own-checkpoint/documents.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import { InterruptedError } from '../../core/errors.ts';
import type { RowRange } from '../../core/formats.ts';
import { MemoryStore } from '../memory-store.ts';

/** Rows of four tokens, of which 0 ends a document; two shards. */
const ROWS = [
  { tokens: [1, 2, 0, 3], documents: ['b', 'a'] },
  { tokens: [3, 3, 3, 0], documents: ['a'] },
  { tokens: [1, 0, 0, 1], documents: ['c', 'd'] }, // the mark is in a text
  { tokens: [1, 1, 0, 4], documents: ['e', 'f'] },
];
const corpus = {
  index: {
    rows: 4,
    sequenceLength: 4,
    tokens: 16,
    tokenizer: { endOfText: 0 },
    shards: [
      { firstRow: 0, rows: 2 },
      { firstRow: 2, rows: 2 },
    ],
  },
  tokenRows: async ({ begin, end }: RowRange) =>
    Int32Array.from(ROWS.slice(begin, end).flatMap(({ tokens }) => tokens)),
  documents: async ({ begin, end }: RowRange) => ROWS.slice(begin, end).map(({ documents }) => documents),
} as unknown as Corpus;
const UTILITIES = Float32Array.from([1, 2, Number.NEGATIVE_INFINITY, 1]);

const KEY = 'documents.jsonl';
async function scored(utilities: Float32Array, shards = [0, 1]) {
  const store = new MemoryStore();
  await store.put(
    KEY,
    documentScores(corpus, shards, utilities, new AbortController().signal, () => {}),
  );
  return { store, key: KEY };
}

async function chosen(utilities: Float32Array, budget: number) {
  const scores = await scored(utilities);
  const cut = await cutDocuments(scores, budget);
  const lines: { id: string; selected: boolean }[] = [];
  for await (const piece of documentLines(scores, cut))
    for (const line of Buffer.from(piece).toString().trim().split('\n')) lines.push(JSON.parse(line));
  const selected = lines.flatMap((line) => (line.selected ? [line.id] : []));
  expect(cut.documents).toBe(selected.length);
  return { selected: selected.sort(), cut, lines };
}

describe('documents', () => {
  it('are those of the pool', async () => {
    const { store, key } = await scored(UTILITIES.subarray(0, 2), [0]);
    expect(await cutDocuments({ store, key }, 1)).toMatchObject({ documents: 1, poolDocuments: 2 });
  });

  it("have the mean of their rows' utilities, weighted by their tokens in each row", async () => {
    const { lines } = await chosen(UTILITIES, 1);
    const lowest = -3.4028234663852886e38;
    expect(lines).toEqual([
      { id: 'b', utility: 1, tokens: 3, selected: false },
      { id: 'a', utility: (1 + 4 * 2) / 5, tokens: 5, selected: true },
      { id: 'c', utility: lowest, tokens: 2, selected: false },
      { id: 'd', utility: lowest, tokens: 2, selected: false },
      { id: 'e', utility: 1, tokens: 3, selected: false },
      { id: 'f', utility: 1, tokens: 1, selected: false },
    ]);
  });

  it.each<[number, string[], number]>([
    [5, ['a'], 5],
    [6, ['a', 'b'], 8],
    [9, ['a', 'b', 'e'], 11],
    [12, ['a', 'b', 'e', 'f'], 12],
    [13, ['a', 'b', 'c', 'e', 'f'], 14],
    [16, ['a', 'b', 'c', 'd', 'e', 'f'], 16],
  ])('are taken best first, then by id, until they have %i tokens', async (budget, ids, tokens) => {
    const { selected, cut } = await chosen(UTILITIES, budget);
    expect(selected).toEqual(ids);
    expect(cut).toMatchObject({ tokens, poolDocuments: 6 });
  });

  it('that have one id are counted, in one shard and in several', async () => {
    expect((await chosen(UTILITIES, 1)).cut.sharingIds).toBe(0);
    const rows = [
      ['b', 'b'],
      ['b'], // ends what began in the row above
      ['c', 'd'], // the mark is in a text
      ['b', 'f'],
    ];
    const mixed = { ...corpus, documents: async ({ begin, end }: RowRange) => rows.slice(begin, end) } as Corpus;
    const store = new MemoryStore();
    const { signal } = new AbortController();
    await store.put(
      KEY,
      documentScores(mixed, [0, 1], UTILITIES, signal, () => {}),
    );
    const lines = Buffer.from(await store.get(KEY))
      .toString()
      .trim()
      .split('\n');
    expect(JSON.parse(lines[0]!)).toMatchObject({ id: 'b', tokens: 8, documents: 2 });
    expect((await cutDocuments({ store, key: KEY }, 1)).sharingIds).toBe(3);
  });

  it('share a row evenly where its parts do not match their number', () => {
    expect(partLengths([1, 0, 2, 2], 2, 0)).toEqual([2, 2]);
    expect(partLengths([1, 2, 2, 0], 1, 0)).toEqual([4]);
    expect(partLengths([1, 2, 0, 2], 3, 0)).toEqual([2, 1, 1]);
    expect(partLengths([0, 0], 3, 0)).toEqual([1, 1, 0]);
  });

  it('stop when they are told to', async () => {
    const stopped = documentScores(corpus, [0, 1], UTILITIES, AbortSignal.abort(), () => {});
    await expect(stopped.next()).rejects.toThrow(InterruptedError);
  });
});
