/**
 * How long planning takes at the largest size that a configuration may ask for, 100 stages over 10,000 shards with 217
 * million rows in all, and how long each probing and evaluating job takes to split and sample the hold-out. There is no
 * peer.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from './contender.ts';
import { ours } from './peers.ts';
import type { Bench } from './report.ts';

const UNITS = { plan: 'stages', 'hold-out': 'rows' };
const WHAT = {
  plan: 'the function that plans a stage, 100 stages x 10,000 shards',
  'hold-out': 'split the hold-out and draw 80,000 probes, 10.9 M rows (5 % of 217 M)',
};

export const plan: Bench = {
  name: 'plan',
  about: 'planning at the largest size',
  async run(settings) {
    const folder = mkdtempSync(join(tmpdir(), 'plan-'));
    try {
      const rows = [];
      for (const task of ['plan', 'hold-out'] as const)
        rows.push(
          ...(await compare(
            { ours: ours('plan.ts', folder), peers: [], tasks: [task], unit: UNITS[task], what: () => WHAT[task] },
            settings,
          )),
        );
      return rows;
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
