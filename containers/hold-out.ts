import type { Corpus } from '../core/corpus/corpus.ts';
import type { StagePlan } from '../core/formats.ts';
import { type HoldOutSplit, splitHoldOut } from '../core/plan/hold-out.ts';
import { rowRanges } from '../core/plan/stage-plan.ts';
import type { Run } from '../core/run/open-run.ts';

/** The run's hold-out, split into rows for evaluation and rows that may be probed. */
export async function holdOut(run: Run, corpus: Corpus, plan: StagePlan): Promise<HoldOutSplit> {
  const { seed, evaluation } = run.record.config;
  const rows = new Float64Array(plan.holdOutRows);
  const domains = new Uint16Array(plan.holdOutRows);
  let filled = 0;
  for (const { shard, begin, end } of rowRanges(corpus.index, plan.holdOutShards)) {
    domains.set(await corpus.domainsOf(shard), filled);
    for (let row = begin; row < end; row++) rows[filled++] = row;
  }
  return splitHoldOut(rows, domains, evaluation.rowsPerDomain, seed);
}
