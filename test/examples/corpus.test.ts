import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { figures, readDomain, readNovels, toJsonLines } from '../../examples/corpus/build.ts';
import { JUNK_DOMAINS, junkTexts } from '../../examples/corpus/junk.ts';
import { DOMAINS, licences } from '../../examples/corpus/licences.ts';
import { OVERLAP_WORDS, passagesOf } from '../../examples/corpus/passages.ts';
import { decodeStringVector } from '../../examples/corpus/sources.ts';
import {
  type CorpusDocument,
  Draws,
  MAX_CHARACTERS,
  MIN_CHARACTERS,
  numbered,
  packBlocks,
  sentences,
  wordRuns,
  words,
} from '../../examples/corpus/text.ts';

const FOLDER = join(import.meta.dirname, '../../examples/corpus');
const MINIATURE = join(import.meta.dirname, '../fixtures/mini-corpus');
const PASSAGE_FILES = ['reference.jsonl', 'held-out.jsonl'];

async function readLines<T>(path: string): Promise<T[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

function runsOf(texts: readonly string[]): Set<string> {
  return new Set(texts.flatMap((text) => [...wordRuns(text, OVERLAP_WORDS)]));
}

describe('the committed corpus', () => {
  const corpus = new Map<string, CorpusDocument[]>();
  let reference: string[];
  let heldOut: string[];

  beforeAll(async () => {
    for (const { domain } of DOMAINS) corpus.set(domain, await readDomain(FOLDER, domain));
    [reference, heldOut] = (await Promise.all(
      PASSAGE_FILES.map(async (file) => (await readLines<{ text: string }>(join(FOLDER, file))).map((row) => row.text)),
    )) as [string[], string[]];
  });

  it('stays below 5 MB', async () => {
    const files = [...DOMAINS.map(({ domain }) => `${domain}.jsonl.gz`), ...PASSAGE_FILES];
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(FOLDER, file))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(5_000_000);
  });

  it('has an id, a text of useful length and its domain on every line, ids and texts once', () => {
    const documents = [...corpus].flatMap(([domain, list]) => {
      for (const document of list) {
        expect(Object.keys(document)).toEqual(['id', 'text', 'domain']);
        expect(document.domain).toBe(domain);
        expect(document.text.length, document.id).toBeGreaterThanOrEqual(MIN_CHARACTERS);
        expect(document.text.length, document.id).toBeLessThanOrEqual(MAX_CHARACTERS);
      }
      return list;
    });
    expect(new Set(documents.map(({ id }) => id)).size).toBe(documents.length);
    expect(new Set(documents.map(({ text }) => text)).size).toBe(documents.length);
  });

  it('is a fifth to a quarter good, a third medium and the rest junk', () => {
    const characters = (quality: string) =>
      DOMAINS.filter((domain) => domain.quality === quality)
        .flatMap(({ domain }) => corpus.get(domain)!)
        .reduce((sum, { text }) => sum + text.length, 0);
    const [good, medium, junk] = ['good', 'medium', 'junk'].map(characters) as [number, number, number];
    const total = good + medium + junk;
    expect(good / total).toBeGreaterThan(0.2);
    expect(good / total).toBeLessThan(0.25);
    expect(medium / total).toBeGreaterThan(0.3);
    expect(junk / total).toBeGreaterThan(0.38);
  });

  it('shares no run of 12 words with the passages, which share none with one another', () => {
    expect([reference.length, heldOut.length]).toEqual([128, 128]);
    const [first, second] = [runsOf(reference), runsOf(heldOut)];
    expect([...first].filter((run) => second.has(run))).toEqual([]);
    const shared: string[] = [];
    for (const { id, text } of [...corpus.values()].flat()) {
      for (const run of wordRuns(text, OVERLAP_WORDS))
        if (first.has(run) || second.has(run)) shared.push(`${id}: ${run}`);
    }
    expect(shared).toEqual([]);
  });

  it('has passages of 60 to 110 words', () => {
    for (const text of [...reference, ...heldOut]) {
      expect(words(text).length).toBeGreaterThanOrEqual(60);
      expect(words(text).length).toBeLessThanOrEqual(110);
    }
  });

  it('has every file, with its size and hash, in LICENSES.md', async () => {
    const text = await readFile(join(FOLDER, 'LICENSES.md'), 'utf8');
    expect(text).toBe(licences(await figures(FOLDER)));
    for (const file of [...DOMAINS.map(({ domain }) => `${domain}.jsonl.gz`), ...PASSAGE_FILES]) {
      expect(text).toContain(`**${file}**`);
    }
  });

  it.each(JUNK_DOMAINS)('generates %s again, byte for byte', async (domain) => {
    const committed = gunzipSync(await readFile(join(FOLDER, `${domain}.jsonl.gz`))).toString('utf8');
    const again = toJsonLines(numbered(domain, junkTexts(domain, await readNovels(FOLDER))));
    expect(again === committed).toBe(true);
  });

  it('has a miniature of three domains for fast tests', async () => {
    for (const domain of ['novels-austen', 'dictionary', 'logs']) {
      const documents = await readLines<CorpusDocument>(join(MINIATURE, `${domain}.jsonl`));
      expect(documents.length).toBe(50);
      for (const [i, { text }] of documents.entries()) expect(corpus.get(domain)![i]!.text.startsWith(text)).toBe(true);
    }
    for (const file of PASSAGE_FILES) expect((await readLines(join(MINIATURE, file))).length).toBe(12);
  });
});

describe('text', () => {
  it('ends no sentence at a title or an initial', () => {
    expect(sentences('Mr. Elliot came. "Did he?" said Mrs. Clay. J. R. knew.')).toEqual([
      'Mr. Elliot came.',
      '"Did he?" said Mrs. Clay.',
      'J. R. knew.',
    ]);
  });

  it('packs blocks in order to texts within the limits', () => {
    const sentence = fc
      .string({ minLength: 5, maxLength: 600, unit: fc.constantFrom('a', 'b', ' ') })
      .map((s) => `X${s}.`);
    const paragraph = fc.array(sentence, { minLength: 1, maxLength: 12 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(fc.array(paragraph, { maxLength: 30 }), (blocks) => {
        const texts = packBlocks(blocks, '\n\n', new Draws(64));
        let position = 0;
        const source = blocks.join(' ').replace(/\s+/g, ' ');
        for (const text of texts) {
          expect(text.length).toBeGreaterThanOrEqual(MIN_CHARACTERS);
          expect(text.length).toBeLessThanOrEqual(MAX_CHARACTERS);
          const start = source.indexOf(text.replace(/\s+/g, ' ').trim(), position);
          expect(start).toBeGreaterThanOrEqual(0);
          position = start + 1;
        }
      }),
      { numRuns: 50 },
    );
  });

  it('takes passages of whole sentences and starts afresh in a chapter', () => {
    const sentence = `${Array.from({ length: 35 }, () => 'Word').join(' ')}.`;
    const passages = passagesOf({
      title: 't',
      chapters: [
        [sentence, sentence, sentence],
        [sentence, sentence],
      ],
    });
    expect(passages).toEqual([`${sentence}\n\n${sentence}`, `${sentence}\n\n${sentence}`]);
  });
});

describe('R character vectors', () => {
  const integer = (value: number) => {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32BE(value);
    return buffer;
  };
  const string = (text: string) => {
    const bytes = Buffer.from(text, 'utf8');
    return Buffer.concat([integer(0x40009), integer(bytes.length), bytes]);
  };
  const header = [Buffer.from('X\n'), integer(3), integer(0), integer(0), integer(5), Buffer.from('UTF-8')];

  it('are read with empty, missing and accented strings', () => {
    const missing = Buffer.concat([integer(9), integer(-1)]);
    const buffer = Buffer.concat([
      ...header,
      integer(16),
      integer(4),
      string('Emma'),
      string(''),
      missing,
      string('£é'),
    ]);
    expect(decodeStringVector(buffer, 'x.rdb')).toEqual(['Emma', '', '', '£é']);
  });

  it('are distinguished from other objects', () => {
    expect(() => decodeStringVector(Buffer.concat([...header, integer(13), integer(0)]), 'x.rdb')).toThrow(
      'x.rdb: expected a serialized R character vector',
    );
  });
});
