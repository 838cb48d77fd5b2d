/**
 * `dsir.ts TEXTS fast|package`: log weights of the pool in a JSON file `{reference, pool}` of texts. The model is
 * fitted before the timing.
 */
import { readFileSync } from 'node:fs';
import { DsirModel, type Hashing, NgramCounts } from '../../core/dsir/index.ts';
import { oneTurn } from '../one-turn.ts';

const [path = '', mode] = process.argv.slice(2);
const texts: { reference: string[]; pool: string[] } = JSON.parse(readFileSync(path, 'utf8'));
const countsOf = (side: string[]) => {
  const counts = new NgramCounts({ mode: mode as Hashing['mode'], buckets: 10_000 });
  for (const text of side) counts.add(text);
  return counts;
};
const model = new DsirModel(countsOf(texts.reference), countsOf(texts.pool.slice(0, 100)));

await oneTurn(() => {
  let sum = 0;
  for (const text of texts.pool) sum += model.logWeight(text);
  if (!Number.isFinite(sum)) throw new Error('log weights are not finite');
});
