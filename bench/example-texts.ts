/** The texts of the example corpus. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const CORPUS = join(import.meta.dirname, '..', 'examples', 'corpus');

const textsOf = (lines: string): string[] =>
  lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).text);

export function exampleTexts(): string[] {
  return readdirSync(CORPUS)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .sort()
    .flatMap((name) => textsOf(gunzipSync(readFileSync(join(CORPUS, name))).toString()));
}

export function exampleReferenceTexts(): string[] {
  return textsOf(readFileSync(join(CORPUS, 'reference.jsonl'), 'utf8'));
}
