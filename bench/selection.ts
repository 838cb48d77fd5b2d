/**
 * Speed and memory of the selection by many jobs, with as many rows per job as 217 million rows have in 800 jobs. It
 * writes some 18 bytes per row to a temporary folder. Each phase is a process of its own, so that its peak memory is
 * known; the later ones read what the first has written.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench } from './report.ts';
import { compareTurns, ours } from './turns.ts';

const ROWS_PER_JOB = 217e6 / 800;

export type SelectionPhase =
  | 'write scores'
  | 'find the cut'
  | 'select by influence'
  | 'find the random cut'
  | 'select at random';

const PHASES: readonly SelectionPhase[] = [
  'write scores',
  'find the cut',
  'select by influence',
  'find the random cut',
  'select at random',
];

export const selection: Bench = {
  name: 'selection',
  about: 'selection of a fifth of a pool by many jobs, rows',
  async run({ rows, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'selection-'));
    const jobs = Math.ceil(rows / ROWS_PER_JOB);
    try {
      return PHASES.map((phase) => {
        const what = `${phase}, ${rows / 1e6} million rows, ${jobs} jobs`;
        log(what);
        const program = ours(phase, 'selection-phase.ts', folder, String(rows), String(jobs), phase);
        return compareTurns({ what, units: rows, unit: 'rows', rounds: 1 }, [program]);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
