import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Corpus, openCorpus } from '../../core/corpus/corpus.ts';
import { InputError } from '../../core/errors.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { MemoryStore } from '../memory-store.ts';
import { temporaryFolder } from '../support.ts';
import { domainsOfRows, prepareRecords, someRecords } from './support.ts';

let corpus: Corpus;
let all: Int32Array;
let allTexts: string[];
const length = 16;

beforeAll(async () => {
  const { target } = await prepareRecords(someRecords(120));
  corpus = await openCorpus(target);
  const parts: number[] = [];
  for (const { tokens } of corpus.index.shards) {
    const bytes = Buffer.from(await target.get(tokens.key));
    for (let at = 0; at < bytes.length; at += 2) parts.push(bytes.readUInt16LE(at));
  }
  all = Int32Array.from(parts);
  const tokenizer = await corpus.tokenizer();
  allTexts = Array.from({ length: corpus.index.rows }, (_, row) =>
    tokenizer.decode(all.subarray(row * length, (row + 1) * length)),
  );
});

describe('Corpus', () => {
  it('reads any rows in any order', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: corpus.index.rows - 1 }), { maxLength: 20 }),
        async (rows) => {
          const tokens = await corpus.tokenRows(rows);
          expect([...tokens]).toEqual(rows.flatMap((row) => [...all.subarray(row * length, (row + 1) * length)]));
          expect(await corpus.texts(rows)).toEqual(rows.map((row) => allTexts[row]));
        },
      ),
      { numRuns: 30 },
    ));

  it('reads ranges and whole shards', async () => {
    const { firstRow, rows } = corpus.index.shards[1]!;
    const range = { shard: 1, begin: firstRow + 1, end: firstRow + rows };
    expect(await corpus.tokenRows(range)).toEqual(all.subarray(range.begin * length, range.end * length));
    expect(await corpus.texts({ ...range, end: range.begin })).toEqual([]);
  });

  it('cuts the text of a row where documents end, and names the document that it begins in', async () => {
    const { endOfText } = await corpus.tokenizer();
    const rows = Array.from({ length: corpus.index.rows }, (_, row) => row);
    const passages = await corpus.documentTexts(rows);
    const first = (await corpus.documents(rows)).map((ids) => ids[0]);
    expect(passages.flat().some((passage) => passage.includes('<|endoftext|>') || passage === '')).toBe(false);
    expect(passages.map((own) => own.join(''))).toEqual(allTexts.map((text) => text.replaceAll('<|endoftext|>', '')));
    expect(Math.max(...passages.map((own) => own.length))).toBeGreaterThan(1);
    // A row begins in another document than the row before it only where a document ends between their beginnings.
    const domains = await domainsOfRows(corpus);
    for (const row of rows.slice(1)) {
      const together = domains[row] === domains[row - 1] && corpus.shardOf(row) === corpus.shardOf(row - 1);
      if (!together || first[row] === first[row - 1]) continue;
      expect(all.subarray((row - 1) * length, row * length).includes(endOfText)).toBe(true);
    }
    expect(new Set(first).size).toBeGreaterThan(20);
  });

  it('finds the shard of a row', () => {
    for (const [shard, { firstRow, rows }] of corpus.index.shards.entries()) {
      expect([corpus.shardOf(firstRow), corpus.shardOf(firstRow + rows - 1)]).toEqual([shard, shard]);
    }
    expect(() => corpus.shardOf(corpus.index.rows)).toThrow(RangeError);
    expect(() => corpus.shardOf(-1)).toThrow(RangeError);
  });

  it('reads rows near each other at once', async () => {
    const reads: string[] = [];
    const { store } = corpus;
    const counted = Object.create(store) as typeof store;
    counted.get = (key, range) => {
      reads.push(key);
      return store.get(key, range);
    };
    await new (corpus.constructor as typeof Corpus)(counted, corpus.index).tokenRows([0, 2, 1, 0]);
    expect(reads).toHaveLength(1);
  });

  it('does not read a large shard whole for rows that are spread over it', async () => {
    const rows = 100_000;
    const none = { key: '', bytes: 0, sha256: '' };
    const shard = { firstRow: 0, rows, tokens: { ...none, key: 'tokens' }, text: none, domains: none };
    const index = { ...corpus.index, sequenceLength: 1024, rows, shards: [shard] };
    const reads: number[] = [];
    const store = new MemoryStore();
    store.get = async (_, range) => {
      reads.push(range!.length);
      const ids = new Uint16Array(range!.length / 2);
      for (let at = 0; at < ids.length; at += 1024) ids[at] = (range!.offset / 2 + at) / 1024 / 2;
      return new Uint8Array(ids.buffer);
    };
    const wanted = Array.from({ length: 250 }, (_, i) => 400 * i + 2);
    const tokens = await new Corpus(store, index).tokenRows(wanted);
    expect(wanted.map((_, i) => tokens[1024 * i])).toEqual(wanted.map((row) => row / 2));
    expect(Math.max(...reads)).toBeLessThanOrEqual(16 << 20);
    expect(reads.length).toBeLessThan(15);
  });

  it('skips shards without rows', async () => {
    const { index, target } = await prepareRecords(someRecords(6), { shards: 40 });
    expect(index.shards.some(({ rows }) => rows === 0)).toBe(true);
    const sparse = await openCorpus(target);
    const rows = Array.from({ length: index.rows }, (_, row) => row);
    for (const row of rows) {
      const { firstRow, rows } = index.shards[sparse.shardOf(row)]!;
      expect(row >= firstRow && row < firstRow + rows).toBe(true);
    }
    expect((await sparse.tokenRows(rows)).length).toBe(rows.length * length);
    expect((await sparse.texts(rows)).every((text) => text.length > 0)).toBe(true);
  });

  it('notices files that were changed', async () => {
    const { index, target } = await prepareRecords(someRecords(60));
    const damaged = await openCorpus(target);
    await target.put('tokenizer.json', '{}');
    await expect(damaged.tokenizer()).rejects.toThrow(/tokenizer\.json is not the file/);
    await target.put(index.shards[1]!.tokens.key, new Uint8Array(4));
    await expect(damaged.tokenRows([index.shards[1]!.firstRow])).rejects.toThrow(InputError);
  });

  it('needs corpus.json', async () => {
    const empty = new DirectoryStore(await temporaryFolder());
    await expect(openCorpus(empty)).rejects.toThrow(/holds no prepared corpus \(no corpus\.json\)/);
  });
});
