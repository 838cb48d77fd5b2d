import type { Corpus } from '../core/corpus/corpus.ts';
import type { StagePlan } from '../core/formats.ts';
import { type HoldOutSplit, splitHoldOut } from '../core/plan/hold-out.ts';
import { rowRanges } from '../core/plan/stage-plan.ts';
import type { Run } from '../core/run/open-run.ts';

/** The run's hold-out, split into rows for evaluation and rows that may be probed. */
export async function holdOut(run: Run, corpus: Corpus, plan: StagePlan): Promise<HoldOutSplit> {
  const { seed, evaluation } = run.record.config;
  const rows: number[] = [];
  const domains = new Uint16Array(plan.holdOutRows);
  for (const { shard, begin, end } of rowRanges(corpus.index, plan.holdOutShards)) {
    domains.set(await corpus.domainsOf(shard), rows.length);
    for (let row = begin; row < end; row++) rows.push(row);
  }
  return splitHoldOut(rows, domains, evaluation.rowsPerDomain, seed);
}
