/**
 * The speed of DSIR's log weights beside that of PyPI `data-selection`, on the example corpus. test/parity/dsir.py
 * shows that the weights are the package's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exampleReferenceTexts, exampleTexts } from './example-texts.ts';
import type { Bench } from './report.ts';
import { compareTurns, ours, peer } from './turns.ts';

export const dsir: Bench = {
  name: 'dsir',
  about: "DSIR's log weights of the example corpus, MB",
  async run({ rounds, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'dsir-'));
    try {
      const path = join(folder, 'texts.json');
      const texts = { reference: exampleReferenceTexts(), pool: exampleTexts() };
      writeFileSync(path, JSON.stringify(texts));
      const megabytes = texts.pool.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
      const work = { units: megabytes, unit: 'MB', rounds };
      const theirs = peer('PyPI data-selection', 'dsir_package.py', path);
      log(`DSIR of ${megabytes.toFixed(1)} MB: ours and the package`);
      return [
        compareTurns({ what: 'fast buckets', ...work }, [ours('fast', 'dsir.ts', path, 'fast'), ...theirs]),
        compareTurns({ what: "the package's buckets", ...work }, [
          ours('package', 'dsir.ts', path, 'package'),
          ...theirs,
        ]),
      ];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
