import type { Corpus } from '../../core/corpus/corpus.ts';
import { rowStatistics, selectionWarnings } from '../../core/diagnostics/selection.ts';
import type { SelectionCheck, SelectionSummary, StagePlan } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { readParquet } from '../../core/parquet.ts';
import { rowRanges, sampleRows } from '../../core/plan/stage-plan.ts';
import { CounterRandom, distinctBelow, STREAM } from '../../core/random/philox.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { getJson } from '../../core/storage/index.ts';
import type { Job } from '../job.ts';

/** Tokens to sample from each of the selection and the pool: a collapse shows in some 2,000 rows of 128 tokens. */
const SAMPLED_TOKENS = 1 << 18;

/** Compares a sample of the main arm's selection with a sample of its pool, and warns the user on stderr. */
export async function checkSelection(job: Job, corpus: Corpus, plan: StagePlan): Promise<SelectionCheck> {
  const { store, record } = job.run;
  const { sequenceLength, tokenizer } = corpus.index;
  const files = armLayout(job.stage, 'main');
  const summary = await getJson<SelectionSummary>(store, files.selectionSummary);
  const { row } = await readParquet({ store, key: files.selection }, { row: 'INT64' });
  const random = (stream: number) => new CounterRandom(record.config.seed, stream, job.stage);
  const wanted = Math.ceil(SAMPLED_TOKENS / sequenceLength);
  const statistics = async (rows: number[]) =>
    rowStatistics(await corpus.tokenRows(rows), sequenceLength, tokenizer.endOfText);
  const sampled = distinctBelow(row.length, wanted, random(STREAM.diagnostics)).map((i) => row[i]!);
  const selected = await statistics(sampled.sort((a, b) => a - b));
  const ranges = rowRanges(corpus.index, plan.poolShards);
  const pool = await statistics(sampleRows(ranges, wanted, random(STREAM.diagnosticsPool)));
  const warnings = selectionWarnings({ selected, pool }, summary, await isTempered(job, plan, summary));
  for (const warning of warnings) job.warn(`stage ${job.stage}: ${warning}`);
  return { selected, pool, warnings };
}

/**
 * Whether the selection depends on the configured temperature: not where the highest rows are taken, where rows are taken at
 * random, or where DSIR's log-weights compete as they are.
 */
async function isTempered({ run }: Job, plan: StagePlan, { gumbel }: SelectionSummary): Promise<boolean> {
  if (!plan.scored || gumbel === 'none') return false;
  const { parts, temperature } = await readScorer(run.store, plan);
  return parts.length > 0 && temperature === undefined;
}
