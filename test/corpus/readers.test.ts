import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { findInputs } from '../../core/corpus/reading/inputs.ts';
import { readLines } from '../../core/corpus/reading/read-lines.ts';
import { readParquetDocuments } from '../../core/corpus/reading/read-parquet.ts';
import { unzstd } from '../../core/corpus/reading/unzstd.ts';
import { InputError } from '../../core/errors.ts';
import { writeParquet } from '../../core/parquet.ts';
import { DirectoryStore, storeOpener } from '../../core/storage/index.ts';
import { MemoryStore } from '../memory-store.ts';
import { temporaryFolder } from '../support.ts';
import { FIELDS, jsonl, readAll, writeInput } from './support.ts';

/** Written by zstd 1.5 at level 3 with a checksum: two lines of JSON. */
const ZSTD = Buffer.from(
  'KLUv/SRhLQIAZAN7InRleHQiOiAib25lIHR3byB0aHJlZSJ9CmZvdXIgZml2ZSBzaXgsIGFuZCAgYWdhaW4ifQoEAC0NdrYlVCfY28QDQe81zw==',
  'base64',
);

const records = [
  { id: 'a', text: 'one two three', domain: 'news' },
  { text: 'four', extra: 1 },
  { id: 7, text: 'fünf 五', domain: null },
];
const expected = [
  { id: 'a', text: 'one two three', domain: 'news', line: 1 },
  { id: 'in.jsonl:2', text: 'four', domain: 'in', line: 2 },
  { id: '7', text: 'fünf 五', domain: 'in', line: 3 },
];

const failure = async (...inputs: string[]): Promise<string> => {
  const error: unknown = await readAll(...inputs).then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  return (error as Error).message;
};

describe('JSON Lines', () => {
  const view = (documents: Awaited<ReturnType<typeof readAll>>) =>
    documents.map(({ id, text, domain, source }) => ({ id, text, domain, line: source.line }));

  it('gives id, text, domain and line, with defaults from the file', async () => {
    const path = await writeInput('in.jsonl', jsonl(records));
    expect(view(await readAll(path))).toEqual(expected);
  });

  it('takes CRLF, blank lines, a byte order mark and a last line without an end', async () => {
    const path = await writeInput('in.jsonl', `\ufeff{"text":"x"}\r\n\r\n  \n{"text":"y"}`);
    expect(view(await readAll(path)).map(({ text, line }) => [text, line])).toEqual([
      ['x', 1],
      ['y', 4],
    ]);
  });

  it('reads gzip, of several members too', async () => {
    const [first = '', ...rest] = jsonl(records).split(/(?<=\n)/);
    const path = await writeInput('in.jsonl.gz', Buffer.concat([gzipSync(first), gzipSync(rest.join(''))]));
    expect(view(await readAll(path))).toEqual(
      expected.map((entry) => ({ ...entry, id: entry.id.replace('in.jsonl:', 'in.jsonl.gz:') })),
    );
  });

  it('reads gzip that is padded with zeros, but not over them', async () => {
    const [first, second] = [gzipSync(jsonl(records.slice(0, 1))), gzipSync(jsonl(records.slice(1)))];
    const padded = await writeInput('in.jsonl.gz', Buffer.concat([first!, Buffer.alloc(1 << 17)]));
    expect(await readAll(padded)).toHaveLength(1);
    const more = await writeInput('in.jsonl.gz', Buffer.concat([first!, Buffer.alloc(512), second!]));
    await expect(readAll(more)).rejects.toThrow(/in\.jsonl\.gz: .* damaged \(zeros at byte \d+, and more data behind/);
  });

  it('reads zstd', async () => {
    const path = await writeInput('in.jsonl.zst', ZSTD);
    expect((await readAll(path)).map(({ text }) => text)).toEqual([
      'one two three',
      'four five six, and one two three again and again and again',
    ]);
  });

  it('reads zstd of several frames, skippable ones among them, however they are cut', async () => {
    const skippable = Buffer.from('532a4d1803000000010203502a4d1800000000', 'hex');
    const whole = Buffer.concat([ZSTD, skippable, ZSTD]);
    const read = async (size: number) => {
      const pieces: Uint8Array[] = [];
      async function* cut() {
        for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
      }
      for await (const piece of unzstd(cut())) pieces.push(Uint8Array.from(piece));
      return Buffer.concat(pieces).toString();
    };
    const [text, again, rest] = (await read(whole.length)).split(/(?<=again"}\n)/);
    expect([again, rest]).toEqual([text, undefined]);
    for (const size of [1, 2, 3, 5, 7, 64]) expect(await read(size)).toBe(`${text}${text}`);
  });

  it('reads the same lines however the bytes are cut', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 9 }),
        async (parts, size) => {
          const bytes = Buffer.from(parts.join('\n'));
          const lines: { number: number; text: string }[] = [];
          const pieces = async function* () {
            for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
          };
          for await (const line of readLines(pieces(), 'in')) lines.push(line);
          const whole = bytes
            .toString()
            .replace(/^\ufeff/, '')
            .split('\n');
          if (whole.at(-1) === '') whole.pop(); // a final line end starts no line
          expect(lines).toEqual(whole.map((text, i) => ({ number: i + 1, text: text.replace(/\r$/, '') })));
        },
      ),
      { numRuns: 50 },
    ));
});

describe('text', () => {
  it('a file is a document', async () => {
    const path = await writeInput('book.txt', 'one\n\ntwo\n');
    expect(await readAll(path)).toEqual([
      { id: 'book.txt:1', text: 'one\n\ntwo', domain: 'book', source: { uri: path, line: 1 } },
    ]);
  });

  it('a long file is cut at blank lines into parts of at most 100 kB', async () => {
    const paragraph = `${'word '.repeat(1000)}\n${'more '.repeat(1000)}`;
    const text = Array.from({ length: 35 }, (_, i) => `${i} ${paragraph}`).join('\n\n');
    const documents = await readAll(await writeInput('book.txt', text));
    expect(documents.length).toBeGreaterThan(3);
    expect(documents.map((document) => document.text).join('\n')).toBe(text);
    for (const { text, source } of documents) {
      expect(text.length).toBeLessThanOrEqual(100_000);
      expect(text).toMatch(/^\d+ word/);
      expect((source.line - 1) % 3).toBe(0);
    }
  });
});

describe('Parquet', () => {
  it('reads columns row group by row group', async () => {
    const bytes = writeParquet(
      [
        { name: 'text', type: 'STRING', data: ['a', 'b', 'ç'] },
        { name: 'id', type: 'INT64', data: [5, 6, 7] },
      ],
      2,
    );
    const path = await writeInput('web.parquet', bytes);
    expect(await readAll(path)).toEqual(
      ['a', 'b', 'ç'].map((text, i) => ({
        id: String(5 + i),
        text,
        domain: 'web',
        source: { uri: path, line: i + 1 },
      })),
    );
  });

  it.each([true, false])(
    'unpacks a row group in pieces, with or without an index of its pages (%s)',
    async (offsetIndex) => {
      const texts = Array.from({ length: 300 }, (_, i) => `${i} ${'word '.repeat((i * 37) % 3000)}`);
      const columns = [
        { name: 'text', type: 'STRING' as const, data: texts, offsetIndex },
        { name: 'domain', type: 'STRING' as const, data: texts.map((_, i) => `d${i % 3}`), offsetIndex },
      ];
      const bytes = parquetWriteBuffer({ columnData: columns, rowGroupSize: 200, pageSize: 100_000 });
      const path = await writeInput('web.parquet', new Uint8Array(bytes));
      const [file] = await findInputs([path], storeOpener());
      for (const pieceBytes of [1, 30_000, 250_000, 1e9]) {
        let read = 0;
        const found: string[][] = [];
        const onRead = (count: number) => {
          read += count;
        };
        for await (const { text, domain, id } of readParquetDocuments(file!, FIELDS, onRead, pieceBytes))
          found.push([id, text, domain]);
        expect(found).toEqual(texts.map((text, i) => [`web.parquet:${i + 1}`, text, `d${i % 3}`]));
        expect(read).toBeCloseTo(file!.bytes);
      }
    },
  );

  it('fetches each part of a row group once', async () => {
    const texts = Array.from({ length: 100 }, (_, i) => `${i} ${'word '.repeat(1000)}`);
    const columnData = [{ name: 'text', type: 'STRING' as const, data: texts, offsetIndex: false }];
    const store = new MemoryStore();
    await store.put('web.parquet', new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 50 })));
    const bytes = (await store.size('web.parquet'))!;
    const file = {
      uri: 'web.parquet',
      name: 'web.parquet',
      store,
      key: 'web.parquet',
      bytes,
      format: '.parquet' as const,
    };
    for await (const _ of readParquetDocuments(file, FIELDS, undefined, 20_000));
    const total = store.reads.reduce((sum, read) => sum + read.bytes, 0);
    expect(total).toBeLessThan(2.1 * bytes); // the end of the file, which a small file is all of, is read for its index
  });

  it('names a missing column and those that are there', async () => {
    const bytes = writeParquet([{ name: 'content', type: 'STRING', data: ['a'] }]);
    const path = await writeInput('web.parquet', bytes);
    expect(await failure(path)).toMatch(/web\.parquet: no column "text"; the columns are content.*corpus\.textField/);
  });

  it('names the row of text that is not UTF-8', async () => {
    const bytes = Buffer.from(writeParquet([{ name: 'text', type: 'STRING', data: ['aaaa', 'bQQb'] }]));
    bytes.fill(0xff, bytes.indexOf('bQQb') + 1, bytes.indexOf('bQQb') + 3);
    expect(await failure(await writeInput('web.parquet', bytes))).toMatch(/row 2: .*UTF-8/);
  });

  it('names the row whose field is of another type', async () => {
    const columnData = [
      { name: 'text', data: ['a', 'b'] },
      { name: 'domain', data: [true, false] },
      { name: 'id', data: [new Date(0), new Date(1)] },
    ];
    const path = await writeInput('web.parquet', new Uint8Array(parquetWriteBuffer({ columnData })));
    expect(await failure(path)).toMatch(/web\.parquet, row 1: field "id" is a date, expected a string/);
    const others = new Uint8Array(parquetWriteBuffer({ columnData: columnData.slice(0, 2) }));
    expect(await failure(await writeInput('web.parquet', others))).toMatch(/row 1: field "domain" is a boolean/);
  });

  it('refuses a decimal id, which would be rounded, and two columns of one name', async () => {
    const schema: SchemaElement[] = [
      { name: 'root', num_children: 3 },
      { name: 'text', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      { name: 'id', type: 'INT64', converted_type: 'DECIMAL', precision: 18, scale: 4, repetition_type: 'REQUIRED' },
      { name: 'other', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    ];
    const columnData = [
      { name: 'text', data: ['a', 'b'] },
      { name: 'id', data: [997500n, 997600n] },
      { name: 'other', data: ['x', 'y'] },
    ];
    const decimal = new Uint8Array(parquetWriteBuffer({ schema, columnData }));
    expect(await failure(await writeInput('in.parquet', decimal))).toMatch(
      /in\.parquet: column "id" is a decimal, .*as a string/,
    );
    const twice = Buffer.from(parquetWriteBuffer({ columnData: [columnData[0]!, { name: 'tex2', data: ['x', 'y'] }] }));
    const renamed = Buffer.from(twice.toString('latin1').replaceAll('tex2', 'text'), 'latin1');
    expect(await failure(await writeInput('in.parquet', renamed))).toMatch(/2 columns are called "text"/);
  });

  it('takes an id that is not a number for none', async () => {
    const columnData = [
      { name: 'text', data: ['a'] },
      { name: 'id', data: [Number.NaN] },
    ];
    const path = await writeInput('in.parquet', new Uint8Array(parquetWriteBuffer({ columnData })));
    expect((await readAll(path)).map(({ id }) => id)).toEqual(['in.parquet:1']);
  });

  it('names a file that is encrypted, or cut off', async () => {
    const whole = Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a'] }] }));
    const encrypted = Buffer.concat([whole.subarray(0, -4), Buffer.from('PARE')]);
    expect(await failure(await writeInput('in.parquet', encrypted))).toMatch(/is encrypted; write it without/);
    for (const bytes of [whole.subarray(0, -1), Buffer.from('PAR1'), Buffer.from('PAR1\0\0\0\0PAR1')])
      expect(await failure(await writeInput('in.parquet', bytes))).toMatch(/not a whole Parquet file; fetch or write/);
  });

  it('refuses a file that is not Parquet', async () => {
    expect(await failure(await writeInput('web.parquet', 'PAR0, not parquet'))).toMatch(/not a whole Parquet file/);
  });
});

describe('inputs', () => {
  it('accepts other file endings of JSON Lines, and leaves them out of the names of domains', async () => {
    const folder = await temporaryFolder();
    const line = '{"text":"x"}\n';
    await writeFile(join(folder, 'c4.json.gz'), gzipSync(line));
    await writeFile(join(folder, 'notes.ndjson'), line);
    await writeFile(join(folder, 'news.NDJSON.gz'), gzipSync(line));
    const documents = await readAll(join(folder, '*'));
    expect(documents.map(({ domain }) => domain)).toEqual(['c4', 'news', 'notes']);
  });

  it('expands globs in order of name, each file once, and names documents relative to the shared folder', async () => {
    const folder = await temporaryFolder();
    for (const name of ['b.jsonl', 'a.jsonl', 'c.txt']) {
      await writeFile(join(folder, name), name.endsWith('txt') ? 'text' : '{"text":"x"}\n');
    }
    const documents = await readAll(join(folder, '*.jsonl'), join(folder, '{a,c}.*'));
    expect(documents.map(({ id }) => id)).toEqual(['a.jsonl:1', 'b.jsonl:1', 'c.txt:1']);
  });

  it('finds globs in folders whose names have characters of patterns', async () => {
    const folder = join(await temporaryFolder(), 'Dropbox (Personal)', '[a]{b,c}!');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'one.jsonl'), '{"text":"x"}\n');
    for (const glob of ['*.jsonl', '{one,two}.jsonl', '../**/*.jsonl'])
      expect(await readAll(join(folder, glob)), glob).toHaveLength(1);
    expect(await failure(join(folder, '*.txt'))).toMatch(/no file has such a name/);
  });

  it('finds globs in a bucket', async () => {
    const lake = await temporaryFolder();
    const store = new DirectoryStore(lake);
    for (const key of ['in/a.jsonl', 'in/deep/b.jsonl', 'in/c.txt', 'out/d.jsonl', 'my (own) files/e.jsonl'])
      await store.put(key, '{"text":"x"}');
    const find = async (input: string) => (await findInputs([input], storeOpener(lake))).map(({ uri }) => uri);
    expect(await find('s3://lake/in/*.jsonl')).toEqual(['s3://lake/in/a.jsonl']);
    expect(await find('s3://lake/**/*.jsonl')).toHaveLength(4);
    expect(await find('s3://lake/in/**/?.{jsonl,txt}')).toHaveLength(3);
    expect(await find('s3://lake/{in/*.txt,out/*}')).toEqual(['s3://lake/in/c.txt', 's3://lake/out/d.jsonl']);
    expect(await find('s3://lake/in/[a-b].jsonl')).toEqual(['s3://lake/in/a.jsonl']);
    expect(await find('s3://lake/@(in|out)/*.jsonl')).toEqual(['s3://lake/in/a.jsonl', 's3://lake/out/d.jsonl']);
    for (const name of ['*.jsonl', 'e.jsonl'])
      expect(await find(`s3://lake/my (own) files/${name}`)).toEqual(['s3://lake/my (own) files/e.jsonl']);
    expect(await find('s3://lake/in/c.txt')).toEqual(['s3://lake/in/c.txt']);
    await expect(find('s3://lake/in/none.txt')).rejects.toThrow(/s3:\/\/lake\/in\/none\.txt: no such file/);
  });

  it.each([
    ['a missing file', 'none.jsonl', /none\.jsonl: no such file; correct corpus\.input/],
    ['a glob without a match', '*.parquet', /no file has such a name/],
  ])('refuses %s', async (_, name, message) => {
    expect(await failure(join(await temporaryFolder(), name))).toMatch(message);
  });

  it('refuses a directory, and says what to write', async () => {
    expect(await failure(await temporaryFolder())).toMatch(/a directory; .*\/\*\*\/\*\.jsonl/);
  });

  it('refuses an unknown form, and an empty file', async () => {
    expect(await failure(await writeInput('in.csv', 'text'))).toMatch(/in\.csv.*\.jsonl, .*\.parquet/);
    expect(await failure(await writeInput('in.jsonl', ''))).toMatch(/in\.jsonl: the file is empty/);
  });
});

it('a text that is null counts as an empty text', async () => {
  const [first, second] = ['a', null];
  const lines = await writeInput('in.jsonl', jsonl([{ text: first }, { text: second }]));
  const columnData = [{ name: 'text', type: 'STRING' as const, data: [first, second] }];
  const table = await writeInput('in.parquet', new Uint8Array(parquetWriteBuffer({ columnData })));
  for (const input of [lines, table]) expect((await readAll(input)).map(({ text }) => text)).toEqual(['a', '']);
});

describe('bad content names the file, the line and the remedy', () => {
  const good = '{"text":"good"}\n';
  it.each<[string, string | Uint8Array, RegExp]>([
    ['JSON', `${good}{"text": \n`, /in\.jsonl, line 2: not valid JSON .*one JSON object/],
    ['an array', `${good}["text"]\n`, /line 2: expected a JSON object .* found \["text"\]/],
    ['no text field', `${good}{"body":"x","id":1}\n`, /line 2: no field "text"; the fields are body, id.*textField/],
    ['a text that is a number', '{"text": 5}\n', /line 1: field "text" is a number, expected a string/],
    ['an id beyond 2^53', `${good}{"text": "a", "id": 1794567890123456781}\n`, /line 2: field "id" is .*as a string/],
    [
      'the domain of joined rows',
      '{"text": "a", "domain": "mixed"}\n',
      /line 1: the domain "mixed" is .* corpus\.domainField/,
    ],
    ['a domain that is an object', '{"text": "a", "domain": {}}\n', /line 1: field "domain" is an object/],
    [
      'invalid UTF-8',
      Buffer.concat([Buffer.from(good + good), Buffer.from('{"text":"\xff"}\n', 'latin1'), Buffer.from(good)]),
      /line 3: not valid UTF-8; .*iconv/,
    ],
    ['gzip by another name', Buffer.from('1f8b0800ff', 'hex'), /in\.jsonl: this is gzip/],
    ['a line of more than 10 MB', `${good}{"text":"${'x'.repeat(1e7)}"}\n${good}`, /line 2: longer than 10 MB/],
    ['a last line of more than 10 MB', `${good}{"text":"${'x'.repeat(1e7)}"}`, /line 2: longer than 10 MB/],
  ])('%s', async (_, content, message) => {
    expect(await failure(await writeInput('in.jsonl', content))).toMatch(message);
  });

  it('a file named after the domain of joined rows', async () => {
    expect(await failure(await writeInput('mixed.txt', 'text'))).toMatch(/mixed\.txt: the domain "mixed" is /);
  });

  it('reads a document of just under 10 MB', async () => {
    const text = 'x'.repeat(9_999_000);
    expect((await readAll(await writeInput('in.jsonl', jsonl([{ text }]))))[0]!.text).toBe(text);
  });

  it('zstd whose content does not match its checksum', async () => {
    const text = ZSTD.indexOf('three'); // as it is written in the frame
    const other = Buffer.from(ZSTD);
    other[text]! ^= 1;
    expect(await failure(await writeInput('in.jsonl.zst', other))).toMatch(/damaged \(the checksum is that of other/);
  });

  it.each([
    ['gzip', 'in.jsonl.gz', gzipSync(jsonl(records))],
    ['zstd', 'in.jsonl.zst', ZSTD],
  ])('truncated or damaged %s', async (kind, name, whole) => {
    for (const bytes of [whole.subarray(0, whole.length - 3), whole.subarray(0, 30)]) {
      expect(await failure(await writeInput(name, bytes))).toMatch(
        new RegExp(`${name}: the ${kind} data is truncated or damaged .*again`),
      );
    }
    expect(await failure(await writeInput(name, Buffer.from(jsonl(records))))).toMatch(
      new RegExp(`${name}: its name says that it is compressed, but it does not begin as ${kind} data does`),
    );
  });
});
