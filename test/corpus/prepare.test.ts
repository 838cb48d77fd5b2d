import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openCorpus } from '../../core/corpus/corpus.ts';
import { textHash } from '../../core/corpus/document.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import { ConfigError, InputError, InterruptedError } from '../../core/errors.ts';
import { readParquet } from '../../core/parquet.ts';
import { thisProcess } from '../../core/processes.ts';
import { verifyCorpus } from '../../core/run/verify.ts';
import { rangeDomains } from '../../core/selection/domains.ts';
import { DirectoryStore } from '../../core/storage/index.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';
import { temporaryFolder } from '../support.ts';
import { jsonl, prepareRecords, settings, someRecords, writeInput } from './support.ts';

async function bytesOf(store: DirectoryStore): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const key of await store.list('')) files[key] = Buffer.from(await store.get(key)).toString('base64');
  return files;
}

afterEach(() => vi.unstubAllEnvs());

describe('prepareCorpus', () => {
  it('writes what the index describes', async () => {
    const records = someRecords(120);
    const { index, target } = await prepareRecords(records);
    const corpus = await openCorpus(target);
    expect(corpus.index).toEqual(index);
    expect(index.documents).toBe(120);
    expect(index.dtype).toBe('uint16');
    expect(index.inputs).toMatchObject([{ uri: 'records.jsonl', documents: 120 }]);
    expect(index.domains.map(({ name }) => name)).toEqual(['mixed', 'north', 'south', 'west']);
    expect(index.domains.reduce((sum, { rows }) => sum + rows, 0)).toBe(index.rows);
    expect(index.tokens).toBe(index.rows * 16);
    const tokenizer = await corpus.tokenizer();
    const given = records.reduce((sum, { text }) => sum + tokenizer.encode(text).length + 1, 0);
    expect(index.tokens + index.droppedTokens).toBe(given);
    let next = 0;
    for (const [shard, { firstRow, rows, text, domains }] of index.shards.entries()) {
      expect(firstRow).toBe(next);
      next += rows;
      const columns = { row: 'INT64', text: 'STRING', domain: 'STRING', documents: 'STRING' } as const;
      const table = await readParquet({ store: target, key: text.key }, columns);
      expect(table.row).toEqual(Array.from({ length: rows }, (_, i) => firstRow + i));
      const ids = await rangeDomains(corpus, { shard, begin: firstRow, end: next });
      expect(domains.bytes).toBe(2 * rows);
      expect(table.domain).toEqual(Array.from(ids, (id) => index.domains[id]!.name));
      const tokens = await corpus.tokenRows({ shard, begin: firstRow, end: next });
      for (let i = 0; i < rows; i++) {
        expect(table.text[i]).toBe(tokenizer.decode(tokens.subarray(16 * i, 16 * i + 16)));
      }
    }
    expect(next).toBe(index.rows);
    await verifyCorpus(corpus);
  });

  it('puts no document into two shards', async () => {
    const { index, target } = await prepareRecords(someRecords(150));
    const home = new Map<string, number>();
    for (const [shard, { text }] of index.shards.entries()) {
      const { documents } = await readParquet({ store: target, key: text.key }, { documents: 'STRING' });
      for (const id of documents.flatMap((list) => JSON.parse(list) as string[])) {
        expect(home.get(id) ?? shard).toBe(shard);
        home.set(id, shard);
      }
    }
    expect(new Set(home.values()).size).toBe(4);
  });

  it('gives the same bytes again, with any spool size, and other shards with another seed', async () => {
    const records = someRecords(100);
    const first = await prepareRecords(records);
    const second = await prepareRecords(records, { spoolBytes: 1 });
    const files = await bytesOf(first.target);
    expect(await bytesOf(second.target)).toEqual(files);
    const other = await prepareRecords(records, { seed: 2 });
    expect((await bytesOf(other.target))['shards/00000.tokens.bin']).not.toBe(files['shards/00000.tokens.bin']);
  });

  it('deals a document to the same shard whatever stands before it', async () => {
    const records = someRecords(80);
    const shardOf = async (list: typeof records) => {
      const { index, target } = await prepareRecords(list, { sequenceLength: 8 });
      const homes: Record<string, number> = {};
      for (const [shard, { text }] of index.shards.entries()) {
        const { documents } = await readParquet({ store: target, key: text.key }, { documents: 'STRING' });
        for (const id of documents.flatMap((line) => JSON.parse(line) as string[])) homes[id] = shard;
      }
      return homes;
    };
    expect(await shardOf([...records].reverse())).toEqual(await shardOf(records));
  });

  it('removes duplicates, empty documents and excluded passages, and counts them', async () => {
    const records = someRecords(60);
    const extra = [
      { ...records[3]!, id: 'again' },
      { ...records[4]!, id: 'spaced', text: `  ${records[4]!.text}\n` },
      { id: 'e1', text: ' \n\t' },
      { id: 'e2', text: '' },
      { id: 'e3', text: ' ' },
    ];
    const { index, target } = await prepareRecords([...records, ...extra], {
      exclude: new Set([textHash(records[7]!.text), textHash('not there')]),
    });
    expect(index).toMatchObject({ documents: 59, duplicatesRemoved: 2, emptyRemoved: 3, excludedRemoved: 1 });
    expect(index.excluded).toEqual([textHash(records[7]!.text), textHash('not there')].sort());
    const texts: string[] = [];
    for (const { text } of index.shards) {
      texts.push(...(await readParquet({ store: target, key: text.key }, { documents: 'STRING' })).documents);
    }
    expect(texts.join()).not.toMatch(/"(d7|again|spaced|e\d)"/);
  });

  it('removes near-duplicates where that is asked for, and keeps one of each', async () => {
    const long = (n: number) => Array.from({ length: 120 }, (_, i) => `word${(i * (n + 2)) % 97}x${n}`);
    const originals = Array.from({ length: 30 }, (_, n) => ({ id: `o${n}`, domain: 'good', text: long(n).join(' ') }));
    const copies = originals.slice(0, 10).map(({ id, text }) => {
      const words = text.split(' ');
      words[60] = 'changed';
      return { id: `near-${id}`, domain: 'copies', text: words.join(' ') };
    });
    const again = { ...copies[0]!, id: 'again' };
    const records = [...originals, ...copies, again];
    const kept = await prepareRecords(records, { sequenceLength: 8 });
    expect(kept.index).toMatchObject({ documents: 40, duplicatesRemoved: 1 });
    expect(kept.index.nearDuplicatesRemoved).toBeUndefined();
    const removing = { sequenceLength: 8, removeNearDuplicates: true };
    const { index, target } = await prepareRecords(records, removing);
    expect(index).toMatchObject({ documents: 30, duplicatesRemoved: 1, nearDuplicatesRemoved: 10 });
    expect(index.inputs[0]!.documents).toBe(30);
    const ids: string[] = [];
    for (const { text } of index.shards) {
      const { documents } = await readParquet({ store: target, key: text.key }, { documents: 'STRING' });
      ids.push(...documents.flatMap((line) => JSON.parse(line) as string[]));
    }
    expect(new Set(ids).size).toBe(30);
    const names = new Set(ids.map((id) => id.replace(/^near-|again/, '')));
    for (const { id } of originals) expect(names.has(id) || (id === 'o0' && ids.includes('again'))).toBe(true);
    expect(index.fingerprint).not.toBe(kept.index.fingerprint);
    expect(await bytesOf((await prepareRecords(records, removing)).target)).toEqual(await bytesOf(target));
  });

  it('tells texts without letters apart, and finds near-duplicates in a script without spaces', async () => {
    const signs = ['!!! ??? !!!', ':-) :-( :-)', '§§ ¶¶ ±±', '∑ ∫ ∂ √ ∞'].map((text, i) => ({ id: `s${i}`, text }));
    const characters = Array.from({ length: 200 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 2897) % 20_000)));
    const page = { id: 'page', text: characters.join('') };
    const copy = { id: 'copy', text: characters.with(100, '的').join('') };
    const { index } = await prepareRecords([...signs, page, copy, ...someRecords(10)], {
      sequenceLength: 8,
      removeNearDuplicates: true,
    });
    expect(index).toMatchObject({ documents: 15, duplicatesRemoved: 0, nearDuplicatesRemoved: 1 });
  });

  it('keeps a duplicated text in the domain where it came first, and drops domains with nothing else', async () => {
    const records = someRecords(40);
    const first = await writeInput('first.jsonl', jsonl(records.slice(0, 25)));
    const again = records.slice(0, 30).map((record) => ({ ...record, domain: 'elsewhere' }));
    const second = await writeInput('second.jsonl', jsonl([...again, ...again, ...records.slice(25)]));
    const third = await writeInput('third.jsonl', jsonl(records.map((record) => ({ ...record, domain: 'copies' }))));
    const target = new DirectoryStore(await temporaryFolder());
    const index = await prepareCorpus({ ...settings(first, target), inputs: [first, second, third] });
    expect(index).toMatchObject({ documents: 40, duplicatesRemoved: 25 + 30 + 5 + 40 });
    expect(index.inputs.map(({ documents }) => documents)).toEqual([25, 15, 0]);
    const names = index.domains.map(({ name }) => name);
    expect(names).toEqual(['elsewhere', 'mixed', 'north', 'south', 'west']);
    const without = await prepareRecords([...records.slice(0, 25), ...again.slice(25), ...records.slice(30)]);
    const bytes = Object.entries(await bytesOf(target)).filter(([key]) => key !== 'corpus.json');
    const expected = Object.entries(await bytesOf(without.target)).filter(([key]) => key !== 'corpus.json');
    expect(bytes).toEqual(expected);
  });

  it('leaves no part of a file, and no corpus, when a shard cannot be written', async () => {
    const input = await writeInput('in.jsonl', jsonl(someRecords(200)));
    const folder = await temporaryFolder();
    const target = new DirectoryStore(folder);
    const full: DirectoryStore = Object.create(target);
    full.put = (key, content) => {
      if (key === 'shards/00002.parquet') throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      return target.put(key, content);
    };
    await expect(prepareCorpus({ ...settings(input, target), target: full })).rejects.toThrow('full');
    const left = await readdir(folder, { recursive: true });
    expect(left).toContain('shards/00001.parquet');
    expect(left.filter((name) => /\.partial-|00002\.parquet|00003|corpus\.json/.test(name))).toEqual([]);
    await prepareCorpus(settings(input, target));
    expect(await target.size('corpus.json')).toBeDefined();
  });

  it.each(['Read the documents', 'Pack the shards'])(
    'leaves no temporary file when it is stopped at this step: %s',
    async (at) => {
      const input = await writeInput('in.jsonl', jsonl(someRecords(200)));
      const [folder, temporary] = [await temporaryFolder(), await temporaryFolder()];
      vi.stubEnv('TMPDIR', temporary);
      const stop = new AbortController();
      let there: string[] = [];
      const progress = ({ step }: { step: string }) => {
        if (step !== at) return;
        there = readdirSync(temporary);
        stop.abort();
      };
      const options = { ...settings(input, new DirectoryStore(folder)), progress, signal: stop.signal };
      await expect(prepareCorpus(options)).rejects.toThrow(InterruptedError);
      expect(there).toHaveLength(1);
      expect(await readdir(temporary)).toEqual([]);
      expect(
        (await readdir(folder, { recursive: true })).filter((name) => /\.partial-|corpus\.json/.test(name)),
      ).toEqual([]);
    },
  );

  it.skipIf(process.platform !== 'linux')(
    'removes what killed preparations have left, and nothing of others',
    async () => {
      const temporary = await temporaryFolder();
      vi.stubEnv('TMPDIR', temporary);
      const owner = thisProcess();
      const owners = {
        dead: { ...owner, pid: 2 ** 22 + 1 },
        'of-an-id-again': { ...owner, started: '1' },
        'at-work': owner,
        elsewhere: { ...owner, pid: 2 ** 22 + 1, host: 'elsewhere' },
        unknown: undefined,
      };
      for (const [name, of] of Object.entries(owners)) {
        await mkdir(join(temporary, `mates-prepare-${name}`));
        if (of) await writeFile(join(temporary, `mates-prepare-${name}`, 'owner.json'), JSON.stringify(of));
      }
      await prepareRecords(someRecords(50));
      const left = (await readdir(temporary)).filter((name) => name.startsWith('mates-prepare-'));
      expect(left.sort()).toEqual(['at-work', 'elsewhere', 'unknown'].map((name) => `mates-prepare-${name}`));
    },
  );

  it('returns an existing corpus without touching it, and completes one that lacks only its index', async () => {
    const input = await writeInput('in.jsonl', jsonl(someRecords(50)));
    const target = new DirectoryStore(await temporaryFolder());
    const index = await prepareCorpus(settings(input, target));
    const files = await bytesOf(target);
    const other = (await target.get('shards/00000.parquet')).map((byte) => byte ^ 1);
    await target.put('shards/00000.parquet', other); // a second preparation would restore it
    expect(await prepareCorpus(settings(input, target))).toEqual(index);
    expect(new Uint8Array(await target.get('shards/00000.parquet'))).toEqual(new Uint8Array(other));
    await target.delete('shards/00001.tokens.bin');
    await expect(prepareCorpus(settings(input, target))).rejects.toThrow(
      /shards\/00001\.tokens\.bin is missing: the corpus was damaged after it had been prepared\. Delete .*, and give the same/,
    );
    await target.delete('corpus.json');
    await prepareCorpus(settings(input, target));
    expect(await bytesOf(target)).toEqual(files);
  });

  it('refuses to replace another corpus, and says what differs', async () => {
    const tokenizer = await writeInput('tokenizer.json', trainBpe(['some other text'], 260));
    const input = await writeInput('in.jsonl', jsonl(someRecords(50)));
    const target = new DirectoryStore(await temporaryFolder());
    const { tokenizer: old } = await prepareCorpus(settings(input, target));
    const again = (change: object) => prepareCorpus({ ...settings(input, target), ...change });
    await expect(again({ tokenizer: { file: tokenizer } })).rejects.toThrow(
      new RegExp(`tokenizer has sha256 ${old.sha256}, corpus.tokenizer.file \\(.*tokenizer.json\\) has [0-9a-f]{64}`),
    );
    await expect(again({ tokenizer: { train: 280 } })).rejects.toThrow(/vocabulary of 300, .* asks for 280/);
    await expect(again({ sequenceLength: 32 })).rejects.toThrow(/rows have 16 tokens, corpus\.sequenceLength is 32/);
    await expect(again({ seed: 9 })).rejects.toThrow(ConfigError);
  });

  it('refuses an input in the folder that it writes to, where a shard could take its place', async () => {
    const folder = await temporaryFolder();
    const target = new DirectoryStore(folder);
    const { target: other } = await prepareRecords(someRecords(50));
    await target.put('shards/00000.parquet', await other.get('shards/00000.parquet'));
    const input = join(folder, 'shards/00000.parquet');
    await expect(prepareCorpus(settings(input, target))).rejects.toThrow(
      /^corpus\.input: \S+00000\.parquet is in \/\S+, where .*: prepare into a new directory\.$/,
    );
  });

  it('uses a tokenizer that is given, byte for byte', async () => {
    const tokenizer = await writeInput('tokenizer.json', trainBpe(['some other text, some other text'], 262));
    const { index, target } = await prepareRecords(someRecords(50), { tokenizer: { file: tokenizer } });
    expect(Buffer.from(await target.get('tokenizer.json'))).toEqual(await readFile(tokenizer));
    expect(index.tokenizer.vocabularySize).toBe(262);
    await expect(
      prepareRecords(someRecords(5), { tokenizer: { file: join(target.uri, 'none.json') } }),
    ).rejects.toThrow(/corpus\.tokenizer\.file: .*none\.json: no such file/);
  });

  it('ends documents with the token that is named, in every thread', async () => {
    const text = trainBpe(['some other text, some other text'], 262);
    const tokenizer = await writeInput('tokenizer.json', text.replaceAll('<|endoftext|>', '<|end|>'));
    const records = someRecords(50);
    await expect(prepareRecords(records, { tokenizer: { file: tokenizer } })).rejects.toThrow(/no token that usually/);
    for (const workers of [1, 2]) {
      const named = { tokenizer: { file: tokenizer, endOfText: '<|end|>' }, shards: 7, workers };
      const { index, target } = await prepareRecords(records, named);
      const corpus = await openCorpus(target);
      expect(index.tokenizer.endOfText).toBe(0);
      expect((await corpus.tokenizer()).endOfText).toBe(0);
      const tokens = await corpus.tokenRows(Array.from({ length: index.rows }, (_, row) => row));
      const ends = tokens.filter((token) => token === 0).length;
      expect(ends).toBeLessThanOrEqual(50);
      expect(ends).toBeGreaterThan(25); // those of the last documents may be in remainders, which fill no row
    }
  });

  it('refuses to replace a corpus whose documents end with another token', async () => {
    const json = JSON.parse(trainBpe(['some other text'], 260));
    json.added_tokens.push({ ...json.added_tokens[0], id: 300, content: '<|stop|>' });
    const file = await writeInput('tokenizer.json', JSON.stringify(json));
    const input = await writeInput('in.jsonl', jsonl(someRecords(50)));
    const target = new DirectoryStore(await temporaryFolder());
    const endingWith = (endOfText?: string) =>
      prepareCorpus({ ...settings(input, target), tokenizer: { file, endOfText } });
    const made = await endingWith();
    expect(await endingWith('<|endoftext|>')).toEqual(made);
    await expect(endingWith('<|stop|>')).rejects.toThrow(
      /its documents end with token 0, corpus\.tokenizer\.endOfText is 300\./,
    );
  });

  it.each([
    ['only empty documents', [{ text: ' ' }, { text: '\n' }], /no documents with text \(2 empty/],
    ['too little text for one row', [{ text: 'a' }], /too little text, 2 tokens over 4 shards fill no row of 16/],
  ])('refuses %s', async (_, records, message) => {
    const attempt = prepareRecords(records);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
  });

  it('reports progress up to the end', async () => {
    const seen: string[] = [];
    await prepareRecords(someRecords(50), {
      progress: ({ step, done, total }) => seen.push(`${step} ${done}/${total}`),
    });
    expect(seen.at(-1)).toBe('Pack the shards 4/4');
    const steps = [...new Set(seen.map((line) => line.replace(/ \d+\/\d+$/, '')))];
    expect(steps).toEqual(['Hash the input files', 'Read the documents', 'Pack the shards']);
    expect(seen[0]).toMatch(/^Hash the input files (\d+)\/\1$/);
  });
});
