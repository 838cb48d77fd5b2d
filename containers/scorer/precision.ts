/** Decides whether a stage's influence model scores in 8 bits: only if that keeps the order of the scores. */
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { StagePlan } from '../../core/formats.ts';
import { spearman } from '../../core/metrics/index.ts';
import { rowRanges, sampleRows } from '../../core/plan/stage-plan.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import type { ScorerPrecision } from '../../core/selection/scorer-record.ts';
import { loadPredictor } from '../influence-model/influence-model.ts';
import type { Job } from '../job.ts';

/** Rows of the pool that are scored both ways. */
const SAMPLE_ROWS = 512;
/** The lowest rank correlation with float32's scores at which 8 bits are used. */
const LEAST_SPEARMAN = 0.995;
/** For pools of fewer rows the check does not pay: it costs as much as scoring some 700 rows. */
const LEAST_ROWS = 16 * SAMPLE_ROWS;
/** Narrower encoders are no faster in 8 bits: most of their time is not in matrix products (docs/performance.md). */
const LEAST_WIDTH = 256;

/**
 * Decides once for all of a stage's scoring jobs, on a sample of the pool's rows that are scored both ways.
 *
 * @returns no precision if it is float32 without a comparison.
 */
export async function choosePrecision(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
): Promise<{ precision?: ScorerPrecision; flops: number }> {
  const { precision: wanted } = job.run.record.config.scoring;
  if (wanted === 'float32' || (wanted === 'auto' && plan.poolRows < LEAST_ROWS)) return { flops: 0 };
  const exact = await loadPredictor(job, corpus, plan);
  if (wanted === 'auto' && (exact.width ?? 0) < LEAST_WIDTH) return { flops: 0 };
  const rounded = exact.inInt8?.();
  if (!rounded) return { flops: 0 };
  const rows = sampledRows(job, corpus, plan);
  const report = (before: number) => (done: number) =>
    job.progress({
      step: 'Compare 8 bits with float32',
      done: before + done,
      total: 2 * rows.length,
      unit: 'rows',
    });
  const precision = judge(await exact.predict(rows, report(0)), await rounded.predict(rows, report(rows.length)));
  return { precision, flops: 2 * rows.length * exact.cost };
}

/** Scores that are all the same have no order to keep, and stay in float32. */
export function judge(exact: ArrayLike<number>, rounded: ArrayLike<number>): ScorerPrecision {
  const found = spearman(Array.from(exact), Array.from(rounded));
  return { used: found >= LEAST_SPEARMAN ? 'int8' : 'float32', spearman: found || 0, rows: exact.length };
}

/** Distinct rows of the pool, ascending. */
function sampledRows(job: Job, corpus: Corpus, plan: StagePlan): number[] {
  const random = new CounterRandom(job.run.record.config.seed, STREAM.precision, job.stage);
  return sampleRows(rowRanges(corpus.index, plan.poolShards), SAMPLE_ROWS, random);
}
