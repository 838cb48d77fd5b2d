import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DsirModel, NgramCounts } from '../../core/dsir/index.ts';

/** What PyPI `data-selection` makes of some texts; `test/parity/dsir.py --write` wrote it. */
interface Fixture {
  texts: string[];
  /** Of each text, the buckets that are not 0. */
  counts: Record<string, number>[];
  reference: string[];
  logWeights: number[];
}
const fixture: Fixture = JSON.parse(readFileSync(new URL('data-selection.json', import.meta.url), 'utf8'));

function countsOf(texts: string[]): NgramCounts {
  const counts = new NgramCounts({ mode: 'package', buckets: 10_000 });
  for (const text of texts) counts.add(text);
  return counts;
}

it.each(fixture.texts.map((text, i) => [text, i] as const))('has the buckets of the package: %j', (text, i) => {
  const entries = [...countsOf([text]).counts.entries()].filter(([, count]) => count > 0);
  expect(Object.fromEntries(entries)).toEqual(fixture.counts[i]);
});

it('has the log weights of the package', () => {
  const model = new DsirModel(countsOf(fixture.reference), countsOf(fixture.texts));
  fixture.texts.forEach((text, i) => {
    expect(model.logWeight(text)).toBeCloseTo(fixture.logWeights[i]!, 9);
  });
});
