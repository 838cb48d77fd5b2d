import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { requireSameTexts } from '../../bench/study/same-texts.ts';
import { temporaryFolder } from '../support.ts';

let data: string;
let results: string;

beforeEach(async () => {
  data = await temporaryFolder();
  results = join(await temporaryFolder(), 'results');
  await mkdir(join(data, 'domains'));
  await writeFile(join(data, 'domains', 'mails.jsonl.gz'), gzipSync('{"text":"a"}\n'));
  await writeFile(join(data, 'novels.jsonl'), '{"text":"b"}\n');
});

describe('the texts of a study', () => {
  it('are recorded by their content with the first result, and accepted for as long as it stays the same', async () => {
    await requireSameTexts(data, results);
    const recorded = JSON.parse(await readFile(join(results, 'texts.json'), 'utf8'));
    expect(Object.keys(recorded)).toEqual(['domains/mails.jsonl.gz', 'novels.jsonl']);
    await writeFile(join(data, 'domains', 'mails.jsonl.gz'), gzipSync('{"text":"a"}\n', { level: 1 }));
    await expect(requireSameTexts(data, results)).resolves.toBeUndefined();
  });

  it('are refused where one has changed, is missing or is new', async () => {
    await requireSameTexts(data, results);
    await writeFile(join(data, 'novels.jsonl'), '{"text":"c"}\n');
    await writeFile(join(data, 'more.jsonl'), '');
    await expect(requireSameTexts(data, results)).rejects.toThrow(/: novels\.jsonl, more\.jsonl: not the texts of/);
  });

  it('of an optional folder are recorded when they are first there, may be missing, and may not change', async () => {
    await requireSameTexts(data, results, ['piqa']);
    await mkdir(join(data, 'piqa'));
    const answers = join(data, 'piqa', 'reference.jsonl');
    await writeFile(answers, '1');
    await requireSameTexts(data, results, ['piqa']);
    expect(Object.keys(JSON.parse(await readFile(join(results, 'texts.json'), 'utf8')))).toContain(
      'piqa/reference.jsonl',
    );
    await rm(answers);
    await expect(requireSameTexts(data, results, ['piqa'])).resolves.toBeUndefined();
    expect(Object.keys(JSON.parse(await readFile(join(results, 'texts.json'), 'utf8')))).toContain(
      'piqa/reference.jsonl',
    );
    await writeFile(answers, '2');
    await expect(requireSameTexts(data, results, ['piqa'])).rejects.toThrow(
      /: piqa\/reference\.jsonl: not the texts of/,
    );
  });
});
