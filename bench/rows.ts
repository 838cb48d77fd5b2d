/**
 * What the cheap influence model and deduplication cost: `npx tsx bench/rows.ts`. Features and MinHash of random token
 * rows, ridge regressions of labels that follow some of the tokens. Each is done three times, of which the fastest is
 * told: what else the machine does can only slow it.
 */
import Table from 'cli-table3';
import { PLAIN_TABLE } from '../bin/commands/format.ts';
import { DuplicateClusters } from '../core/dedup/clusters.ts';
import { DEFAULT_MINHASH, MinHasher } from '../core/dedup/minhash.ts';
import { NgramFeatures } from '../core/features/ngrams.ts';
import { PhiloxRun, RUN } from '../core/random/philox-run.ts';
import { fitRidge } from '../core/regression/ridge.ts';

const PENALTIES = [10, 30, 100, 300, 1000, 3000];
const table = new Table({ ...PLAIN_TABLE, head: ['what', 'CPU s', 'rate a CPU s'] });

for (const { rows, length, vocabularySize, buckets } of [
  { rows: 3000, length: 128, vocabularySize: 2048, buckets: 2 ** 13 },
  { rows: 80_000, length: 128, vocabularySize: 2048, buckets: 2 ** 16 },
]) {
  const tokens = randomTokens(rows * length, vocabularySize);
  const shape = `${rows} rows of ${length} tokens`;
  const features = new NgramFeatures({ sequenceLength: length, vocabularySize, buckets });
  const ngrams = time(`n-gram features, ${shape}`, () => features.rows(tokens), tokens.length / 1e6, 'million tokens');
  const targets = Float64Array.from({ length: rows }, (_, row) =>
    targetOf(tokens.subarray(row * length, (row + 1) * length)),
  );
  const labels = `ridge, ${rows} labels, 2^${Math.log2(buckets)} columns, ${PENALTIES.length} penalties`;
  time(labels, () => fitRidge({ ngrams }, targets, { penalties: PENALTIES, seed: 1 }), rows, 'labels', 1);
  const all = Array.from({ length: rows }, (_, row) => tokens.subarray(row * length, (row + 1) * length));
  const hasher = new MinHasher({ ...DEFAULT_MINHASH, seed: 1 });
  const keys = time(`MinHash, ${shape}`, () => hasher.bandKeys(all), tokens.length / 1e6, 'million tokens');
  const cluster = () => {
    const clusters = new DuplicateClusters(rows);
    for (const band of keys) clusters.addBand(band);
    return clusters.representatives();
  };
  time(`clusters, ${rows} rows, ${keys.length} bands`, cluster, rows, 'rows');
}
console.log(table.toString());

function time<T>(what: string, work: () => T, units: number, unit: string, times = 3): T {
  let best = Number.POSITIVE_INFINITY;
  let result!: T;
  for (let i = 0; i < times; i++) {
    const before = process.cpuUsage();
    result = work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e6);
  }
  const rate = units / best;
  table.push([what, best.toPrecision(3), `${rate < 100 ? rate.toPrecision(3) : Math.round(rate)} ${unit}`]);
  return result;
}

/** Cubes of uniforms: some tokens are frequent, as in text. */
function randomTokens(count: number, vocabularySize: number): Int32Array {
  const random = new PhiloxRun(1, 102);
  const tokens = new Int32Array(count);
  for (let at = 0; at < count; ) {
    const taken = random.fill(at, Math.min(RUN, count - at));
    for (let i = 0; i < taken; i++) tokens[at + i] = Math.floor((random.word0[i]! / 2 ** 32) ** 3 * vocabularySize);
    at += taken;
  }
  return tokens;
}

/** The share of even tokens, among those that are not rare. */
function targetOf(row: Int32Array): number {
  return row.reduce((sum, token) => sum + (token % 2 === 0 && token < 500 ? 1 : 0), 0) / row.length;
}
