import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { DuplicateClusters } from '../../core/dedup/clusters.ts';
import { DEFAULT_MINHASH, MinHasher } from '../../core/dedup/minhash.ts';
import { spread } from '../../core/random/spread.ts';

const CORPUS = new URL('../../examples/corpus/', import.meta.url);

/** A word as a number that may stand for a token. */
const tokenOf = (word: string) =>
  spread(Array.from(word).reduce((h, c) => Math.imul(h, 31) + c.charCodeAt(0), 7)) >>> 1;

it('finds the generated near-duplicates of the example corpus, and their originals, and next to nothing else', () => {
  const documents = readdirSync(CORPUS)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .sort()
    .flatMap((name) => {
      const lines = gunzipSync(readFileSync(new URL(name, CORPUS)))
        .toString()
        .trim()
        .split('\n');
      return lines.map((line) => ({ domain: name.split('.')[0]!, text: JSON.parse(line).text as string }));
    });
  const rows = documents.map(({ text }) => Int32Array.from(text.split(/\s+/), tokenOf));
  const clusters = new DuplicateClusters(rows.length);
  for (const keys of new MinHasher({ ...DEFAULT_MINHASH, seed: 1 }).bandKeys(rows)) clusters.addBand(keys);
  const representatives = clusters.representatives();
  const duplicates = documents.filter((_, i) => representatives[i] !== i).map(({ domain }) => domain);
  const found = (domain: RegExp) => duplicates.filter((name) => domain.test(name)).length;
  // 800 texts are 50 passages of the novels, each with 3 % of its words changed some 16 times: 750 in excess, and 50
  // originals.
  expect(found(/^near-duplicates/)).toBeGreaterThan(640);
  expect(found(/^novels/)).toBeGreaterThan(45);
  expect(found(/^novels/)).toBeLessThanOrEqual(50);
  expect(found(/^(?!near-duplicates|novels)/)).toBeLessThan(20);
});
