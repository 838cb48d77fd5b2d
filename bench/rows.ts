/**
 * The cost of the cheap influence model and of deduplication: n-gram features and MinHash of random token rows, and
 * ridge regressions of labels that depend on some of the tokens.
 */
import { DuplicateClusters } from '../core/dedup/clusters.ts';
import { DEFAULT_MINHASH, MinHasher } from '../core/dedup/minhash.ts';
import { NgramFeatures } from '../core/features/ngrams.ts';
import { PhiloxSpan, SPAN } from '../core/random/philox-span.ts';
import { fitRidge } from '../core/regression/ridge.ts';
import { spread } from './measure.ts';
import type { Bench, Row } from './report.ts';

const PENALTIES = [10, 30, 100, 300, 1000, 3000];
const CASES = [
  { rows: 3000, length: 128, vocabularySize: 2048, buckets: 2 ** 13 },
  { rows: 80_000, length: 128, vocabularySize: 2048, buckets: 2 ** 16 },
];

export const ridgeAndDuplicates: Bench = {
  name: 'rows',
  about: 'the influence ridge and deduplication',
  async run({ log }) {
    return CASES.flatMap((of) => {
      log(`ridge and MinHash of ${of.rows} rows`);
      return measureRows(of);
    });
  },
};

function measureRows({ rows, length, vocabularySize, buckets }: (typeof CASES)[number]): Row[] {
  const found: Row[] = [];
  /** Returns the work's result, and adds a row that measures `times` repetitions. */
  const time = <T>(what: string, work: () => T, units: number, unit: string, times = 3): T => {
    const [wall, processor]: [number[], number[]] = [[], []];
    let result!: T;
    for (let i = 0; i < times; i++) {
      const before = process.cpuUsage();
      const started = performance.now();
      result = work();
      const { user, system } = process.cpuUsage(before);
      wall.push((1000 * units) / (performance.now() - started));
      processor.push((1e6 * units) / (user + system));
    }
    found.push({ what, unit, ours: { perSecond: spread(wall), perCpuSecond: spread(processor) }, peers: [] });
    return result;
  };
  const tokens = randomTokens(rows * length, vocabularySize);
  const shape = `${rows} rows of ${length} tokens`;
  const features = new NgramFeatures({ sequenceLength: length, vocabularySize, buckets });
  const ngrams = time(`n-gram features, ${shape}`, () => features.rows(tokens), tokens.length, 'tokens');
  const targets = Float64Array.from({ length: rows }, (_, row) =>
    targetOf(tokens.subarray(row * length, (row + 1) * length)),
  );
  const held = Array.from({ length: Math.ceil(rows / 7) }, (_, i) => 7 * i);
  const labels = `ridge, ${rows} labels, 2^${Math.log2(buckets)} columns, ${PENALTIES.length} penalties`;
  time(labels, () => fitRidge({ ngrams }, targets, { penalties: PENALTIES, folds: [held] }), rows, 'labels', 1);
  const all = Array.from({ length: rows }, (_, row) => tokens.subarray(row * length, (row + 1) * length));
  const hasher = new MinHasher({ ...DEFAULT_MINHASH, seed: 1 });
  const keys = time(`MinHash, ${shape}`, () => hasher.bandKeys(all), tokens.length, 'tokens');
  const cluster = () => {
    const clusters = new DuplicateClusters(rows);
    for (const band of keys) clusters.addBand(band);
    return clusters.representatives();
  };
  time(`clusters, ${rows} rows, ${keys.length} bands`, cluster, rows, 'rows');
  return found;
}

/** Tokens from cubes of uniform numbers: some are frequent, as in text. */
function randomTokens(count: number, vocabularySize: number): Int32Array {
  const random = new PhiloxSpan(1, 102);
  const tokens = new Int32Array(count);
  for (let at = 0; at < count; ) {
    const taken = random.fill(at, Math.min(SPAN, count - at));
    for (let i = 0; i < taken; i++) tokens[at + i] = Math.floor((random.word0[i]! / 2 ** 32) ** 3 * vocabularySize);
    at += taken;
  }
  return tokens;
}

/** The share of tokens that are even and not rare. */
function targetOf(row: Int32Array): number {
  return row.reduce((sum, token) => sum + (token % 2 === 0 && token < 500 ? 1 : 0), 0) / row.length;
}
