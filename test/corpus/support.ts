import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Document } from '../../core/corpus/document.ts';
import { type PrepareOptions, prepareCorpus } from '../../core/corpus/prepare.ts';
import { findInputs } from '../../core/corpus/reading/inputs.ts';
import { readDocuments } from '../../core/corpus/reading/read-documents.ts';
import type { CorpusIndex } from '../../core/formats.ts';
import { rowRanges } from '../../core/plan/stage-plan.ts';
import { rangeDomains } from '../../core/selection/domains.ts';
import { DirectoryStore, storeOpener } from '../../core/storage/index.ts';
import { temporaryFolder } from '../support.ts';

export const FIELDS = { text: 'text', domain: 'domain', id: 'id' };

/** Writes one input file and returns its path. */
export async function writeInput(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return path;
}

export const jsonl = (records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');

/** All documents of the files that the inputs name. */
export async function readAll(...inputs: string[]): Promise<Document[]> {
  const documents: Document[] = [];
  for (const file of await findInputs(inputs, storeOpener())) {
    for await (const document of readDocuments(file, FIELDS)) documents.push(document);
  }
  return documents;
}

/** Index into `index.domains` of every row of a corpus. */
export async function domainsOfRows(corpus: Corpus): Promise<number[]> {
  const all = rowRanges(corpus.index, [...corpus.index.shards.keys()]);
  const shards = await Promise.all(all.map((range) => rangeDomains(corpus, range)));
  return shards.flatMap((domains) => [...domains]);
}

/** Prepares records into a fresh directory. */
export async function prepareRecords(
  records: object[],
  options: Partial<PrepareOptions> = {},
): Promise<{ index: CorpusIndex; target: DirectoryStore }> {
  const input = await writeInput('records.jsonl', jsonl(records));
  const target = new DirectoryStore(await temporaryFolder());
  const index = await prepareCorpus({ ...settings(input, target), ...options });
  return { index, target };
}

/** Small settings for one input file. */
export function settings(input: string, target: DirectoryStore): PrepareOptions {
  return {
    opener: storeOpener(),
    inputs: [input],
    tokenizer: { train: 300 },
    sequenceLength: 16,
    shards: 4,
    seed: 1,
    fields: FIELDS,
    target,
    progress: () => {},
  };
}

/** Distinct documents of a few domains, some 30 words each. */
export function someRecords(count: number): { id: string; text: string; domain: string }[] {
  const words = 'the quick brown fox jumps over a lazy dog while seven wizards quietly mix jars of grog'.split(' ');
  return Array.from({ length: count }, (_, i) => ({
    id: `d${i}`,
    domain: ['north', 'south', 'west'][i % 3]!,
    text: `Number ${i}: ${Array.from({ length: 10 + (i % 40) }, (_, j) => words[(i * 7 + j * j) % words.length]).join(' ')}.`,
  }));
}
