/**
 * Selecting a fifth of a pool in one process, compared with NumPy as the published code uses it. C4's pool in the paper
 * has 217 million rows (`--rows`). test/parity/numpy_selection.py shows that the picks are NumPy's for the same noise.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CounterRandom } from '../core/random/philox.ts';
import type { Bench } from './report.ts';
import { compareTurns, ours, peer } from './turns.ts';

export const oneProcess: Bench = {
  name: 'select',
  about: 'selection of a fifth of a pool in one process, rows',
  async run({ rows, rounds, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'one-process-'));
    try {
      const path = join(folder, 'utilities.f32');
      writeUtilities(path, rows);
      const k = String(Math.floor(rows / 5));
      const what = `${rows / 1e6} million rows`;
      log(`${what}: ours and NumPy`);
      const contenders = [
        ours('selectInMemory', 'select-in-memory.ts', path, k),
        ...peer('NumPy, as published', 'select_numpy.py', path, k, 'published'),
        ...peer('NumPy, argpartition alone', 'select_numpy.py', path, k, 'array'),
      ];
      return [compareTurns({ what, units: rows, unit: 'rows', rounds }, contenders)];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Normal utilities. A block of a million, drawn once, is repeated, because drawing takes longer than selecting. */
function writeUtilities(path: string, count: number): void {
  const random = new CounterRandom(9, 1000);
  const block = Float32Array.from({ length: 1 << 20 }, (_, i) => random.normal(i));
  const file = openSync(path, 'w');
  for (let at = 0; at < count; at += block.length) {
    const part = block.subarray(0, Math.min(block.length, count - at));
    writeSync(file, new Uint8Array(part.buffer, 0, part.byteLength));
  }
  closeSync(file);
}
