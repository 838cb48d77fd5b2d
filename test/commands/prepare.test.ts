import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { prepare } from '../../bin/commands/prepare.ts';
import { verify } from '../../bin/commands/verify.ts';
import { namingFlags } from '../../bin/naming-flags.ts';
import { ConfigError } from '../../core/errors.ts';
import { readParquet } from '../../core/parquet.ts';
import { mates } from '../end-to-end/support.ts';
import { temporaryFolder } from '../support.ts';
import { printed } from './support.ts';

describe('mates prepare', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const options = (over: Partial<Parameters<typeof prepare>[0]> = {}) => ({
    input: [at('posts.jsonl')],
    tokenizer: 'train:300',
    sequenceLength: 8,
    shards: 2,
    seed: 1,
    nearDuplicates: 'keep' as const,
    textField: 'body',
    domainField: 'site',
    idField: 'url',
    out: at('corpus'),
    ...over,
  });
  const post = (n: number) => ({
    url: `post-${n}`,
    body: `${'word '.repeat(20)}${n}`,
    site: n % 2 ? 'odd' : 'even',
    list: [],
  });

  beforeAll(async () => {
    folder = await temporaryFolder();
    const posts = Array.from({ length: 20 }, (_, n) => post(n));
    await writeFile(at('posts.jsonl'), posts.map((one) => `${JSON.stringify(one)}\n`).join(''));
    for (const name of ['a', 'b']) {
      await mkdir(at(name));
      await writeFile(
        at(`${name}/x.jsonl`),
        posts.map(({ body }) => `${JSON.stringify({ body: name + body })}\n`).join(''),
      );
    }
    await writeFile(at('kept-out.jsonl'), `${JSON.stringify({ text: post(3).body })}\n`);
    await writeFile(at('too.jsonl'), `${JSON.stringify({ text: post(4).body })}\n`);
  });

  it('reads the fields that it is told, and keeps passages out', async () => {
    const flags = ['--text-field', 'body', '--domain-field', 'site', '--id-field', 'url', '--shards', '2'];
    const { stdout, code } = await mates(
      ...['prepare', '--input', at('posts.jsonl'), '--tokenizer', 'train:300', '--sequence-length', '8', ...flags],
      ...['--exclude', at('kept-out.jsonl'), at('too.jsonl'), '--out', at('corpus')],
    );
    expect(code).toBe(0);
    expect(stdout).toContain(
      'from 18 documents in 2 shards; 0 exact duplicates removed, 2 passages of --exclude kept out.',
    );
    const index = JSON.parse(await readFile(at('corpus/corpus.json'), 'utf8'));
    expect(index.domains.map(({ name }: { name: string }) => name)).toEqual(['even', 'mixed', 'odd']);
    const ids = new Set<string>();
    for (const { text } of index.shards) {
      const { documents } = await readParquet(await readFile(at(`corpus/${text.key}`)), { documents: 'STRING' });
      for (const list of documents) for (const id of JSON.parse(list)) ids.add(id);
    }
    expect(ids).toContain('post-5');
    expect([...ids].filter((id) => id === 'post-3' || id === 'post-4')).toEqual([]);
  });

  it('says how many documents had no text', async () => {
    const empty = [{ body: '' }, { body: null }, { body: ' \n' }].map((one) => JSON.stringify(one)).join('\n');
    await writeFile(at('gaps.jsonl'), `${empty}\n${JSON.stringify(post(1))}\n${JSON.stringify(post(2))}\n`);
    const text = await printed(() => prepare(options({ input: [at('gaps.jsonl')], out: at('gaps') })));
    expect(text).toContain('from 2 documents in 2 shards; 0 exact duplicates removed, 3 without text left out.');
  });

  it.each<[string, () => Partial<Parameters<typeof prepare>[0]>, RegExp]>([
    ['a text field that is not there', () => ({ textField: 'text' }), /line 1: no field "text".*in --text-field\.$/],
    ['a domain that is no string', () => ({ domainField: 'list' }), /field "list" is an array.*correct --domain-field/],
    ['an input that is not there', () => ({ input: ['nowhere.jsonl'] }), /nowhere\.jsonl.*correct --input\.$/],
    ['a file as the folder', () => ({ out: at('posts.jsonl') }), /posts\.jsonl: a file has the name.*another --out\.$/],
    [
      'a folder in a file',
      () => ({ out: at('posts.jsonl/in') }),
      /in: a file has the name.* above it.*another --out\.$/,
    ],
    ['no excluded file', () => ({ exclude: ['nowhere.jsonl'] }), /--exclude nowhere\.jsonl: no such file/],
    ['an excluded file of posts', () => ({ exclude: [at('posts.jsonl')] }), /posts\.jsonl, line 1: expected \{"text"/],
    [
      'a corpus of other fields',
      () => ({ out: at('corpus'), tokenizer: at('corpus/tokenizer.json'), idField: 'id' }),
      /the fields, --near-duplicates or the passages of --exclude were others/,
    ],
  ])('names its flags where it refuses %s', async (_, over, message) => {
    await expect(prepare(options({ out: at('refused'), ...over() }))).rejects.toThrow(message);
  });

  it.each<[string, () => Partial<Parameters<typeof prepare>[0]>]>([
    ['--input', () => ({ input: ['nowhere'] })],
    ['--tokenizer', () => ({ tokenizer: 'nowhere' })],
    ['--exclude', () => ({ exclude: ['nowhere'] })],
  ])('ends with 1 where a file of %s is not there', async (flag, over) => {
    const refused = prepare(options({ out: at('missing'), ...over() }));
    await expect(refused).rejects.toMatchObject({ exitCode: 1, message: expect.stringContaining(flag) });
    await expect(refused).rejects.toThrow(/nowhere: no such file; /);
  });

  it.each<[string, () => Partial<Parameters<typeof prepare>[0]>, string]>([
    [
      'a misspelt field for domains',
      () => ({ domainField: 'sight', tokenizer: 'train:260' }),
      'no document names a domain in the field "sight", so each file counts as one: check --domain-field.',
    ],
    [
      'files of one name in different folders',
      () => ({ input: [at('a/x.jsonl'), at('b/x.jsonl')], domainField: 'domain', tokenizer: 'train:260' }),
      'a/x.jsonl and b/x.jsonl count as one domain, "x", by the name of both files: where they are not one, give each ' +
        'document its domain in the field "domain" (--domain-field), or the files different names.',
    ],
    [
      'a vocabulary that the text is too small for',
      () => ({ tokenizer: 'train:5000' }),
      expect.stringMatching(
        /^the tokenizer has a vocabulary of \d{3}, not the 5000 of --tokenizer train:N: .*; add text, or ask for no more\.$/,
      ),
    ],
  ])('warns of %s', async (name, over, warning) => {
    const shown: string[] = [];
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => shown.push(String(text)) > 0);
    await printed(() => prepare(options({ out: at(name), ...over() })));
    write.mockRestore();
    const warnings = shown.flatMap((line) => /^Warning: (.*)\n$/.exec(line)?.[1] ?? []);
    expect(warnings).toEqual([warning]);
  });

  it('is refused where another process writes to the folder, and leaves no lock of its own', async () => {
    const out = at('shared');
    await mkdir(out);
    await writeFile(join(out, '.lock'), `${process.ppid}\n`);
    await expect(printed(() => prepare(options({ out })))).rejects.toThrow(
      `process ${process.ppid} on ${hostname()} is writing to it (lock file ${join(out, '.lock')}); wait for it, stop it, or choose another --out.`,
    );
    await rm(join(out, '.lock'));
    const left = join(out, 'shards', '00000.parquet.partial-0123456789ab'); // of one that was killed
    await mkdir(join(out, 'shards'));
    await writeFile(left, '');
    await printed(() => prepare(options({ out })));
    await expect(readFile(left)).rejects.toThrow(/ENOENT/);
    await expect(readFile(join(out, '.lock'))).rejects.toThrow(/ENOENT/);
  });

  it('takes file: URIs, as mates verify does', async () => {
    const uri = (name: string) => pathToFileURL(at(name)).href;
    await printed(() => prepare(options({ input: [uri('posts.jsonl')], out: uri('by URI') })));
    const { inputs, documents } = JSON.parse(await readFile(at('by URI/corpus.json'), 'utf8'));
    expect([inputs[0].uri, documents]).toEqual(['posts.jsonl', 20]);
    const glob = uri('pos*.jsonl').replace('%2A', '*');
    await printed(() =>
      prepare(options({ input: [glob], tokenizer: uri('by URI/tokenizer.json'), out: at('globbed') })),
    );
    expect(JSON.parse(await readFile(at('globbed/corpus.json'), 'utf8')).documents).toBe(20);
    expect(await printed(() => verify(uri('by URI'), {}))).toMatch(/by%20URI: a corpus; /);
    await expect(verify(uri('nowhere'), {})).rejects.toThrow(`${at('nowhere')}: neither a run`);
  });

  it('leaves a checkpoint as it is, and takes the folder of an interrupted preparation', async () => {
    await mkdir(at('model'));
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
      await writeFile(at(`model/${name}`), '{}');
    await expect(prepare(options({ out: at('model') }))).rejects.toThrow(
      /is not a corpus and has other files \(config\.json, model\.safetensors\).*prepare into a new directory\.$/,
    );
    expect(await readFile(at('model/tokenizer.json'), 'utf8')).toBe('{}');
    await mkdir(at('begun/shards'), { recursive: true });
    for (const name of ['tokenizer.json', 'shards/00000.parquet']) await writeFile(at(`begun/${name}`), '');
    await printed(() => prepare(options({ out: at('begun') })));
    expect(JSON.parse(await readFile(at('begun/corpus.json'), 'utf8')).documents).toBe(20);
  });

  it('leaves the names of files as they are', async () => {
    const fails = () => Promise.reject(new ConfigError('a/corpus.input/corpus.input.gz: bad; correct corpus.input.'));
    await expect(namingFlags({ 'corpus.input': '--input' }, fails)).rejects.toThrow(
      'a/corpus.input/corpus.input.gz: bad; correct --input.',
    );
  });
});
