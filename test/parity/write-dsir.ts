/**
 * `write-dsir.ts DIRECTORY`: DSIR of DIRECTORY/texts.json, `{reference, pool}` with arrays of texts, by our own
 * code: `package.json` and `fast.json` with the counts of both sides, the log ratios and the pool's log weights.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DsirModel, NgramCounts } from '../../core/dsir/index.ts';

const directory = process.argv[2]!;
const texts: Record<'reference' | 'pool', string[]> = JSON.parse(readFileSync(join(directory, 'texts.json'), 'utf8'));
for (const mode of ['package', 'fast'] as const) {
  const counted = (side: string[]) => {
    const counts = new NgramCounts({ mode, buckets: 10_000 });
    for (const text of side) counts.add(text);
    return counts;
  };
  const model = new DsirModel(counted(texts.reference), counted(texts.pool));
  const scores = texts.pool.map((text) => ({ logWeight: model.logWeight(text), ngrams: counted([text]).total() }));
  const { reference, pool } = model.toFile();
  const logRatio = Array.from(model.logRatio);
  const result = { reference: reference.counts, pool: pool.counts, logRatio, scores };
  writeFileSync(join(directory, `${mode}.json`), JSON.stringify(result));
}
