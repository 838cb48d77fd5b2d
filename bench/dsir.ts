/**
 * DSIR's log weights beside PyPI `data-selection`: `npx tsx bench/dsir.ts [ROUNDS]`, on the example corpus. That they
 * are the package's, test/parity/dsir.py shows.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ours, peer, printTurns, takeTurns } from './turns.ts';

const rounds = Number(process.argv[2] ?? 3);
const corpus = join(import.meta.dirname, '..', 'examples', 'corpus');

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const reference = linesOf(readFileSync(join(corpus, 'reference.jsonl'), 'utf8'));
const pool = readdirSync(corpus)
  .filter((name) => name.endsWith('.jsonl.gz'))
  .sort()
  .flatMap((name) => linesOf(gunzipSync(readFileSync(join(corpus, name))).toString()));

const folder = mkdtempSync(join(tmpdir(), 'dsir-'));
try {
  const path = join(folder, 'texts.json');
  const texts = { reference: reference.map(({ text }) => text), pool: pool.map(({ text }) => text) };
  writeFileSync(path, JSON.stringify(texts));
  const megabytes = texts.pool.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
  const results = takeTurns(
    [
      ours('fast buckets', 'dsir.ts', folder, path, 'fast'),
      ours("the package's buckets", 'dsir.ts', folder, path, 'package'),
      ...peer('PyPI data-selection', 'data_selection', 'dsir_package.py', path),
    ],
    rounds,
  );
  console.log(`${pool.length} texts, ${megabytes.toFixed(1)} MB`);
  printTurns(results, megabytes, 'MB');
} finally {
  rmSync(folder, { recursive: true });
}
