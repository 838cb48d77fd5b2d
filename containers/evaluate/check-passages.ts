import type { Corpus } from '../../core/corpus/corpus.ts';
import { passageStatistics, passageWarnings } from '../../core/diagnostics/passages.ts';
import type { PassagesCheck } from '../../core/formats.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import type { Job } from '../job.ts';
import { loadPassageSet } from '../passages.ts';
import { SAMPLED_TOKENS } from './check-selection.ts';

/** Compares the passages with a sample of the corpus, and says on stderr what a user should know. */
export async function checkPassages(job: Job, corpus: Corpus): Promise<PassagesCheck> {
  const { config } = job.run.record;
  const { rows: all, sequenceLength, tokenizer } = corpus.index;
  const random = new CounterRandom(config.seed, STREAM.diagnostics);
  const rows = new Set<number>();
  const wanted = Math.min(all, Math.ceil(SAMPLED_TOKENS / sequenceLength));
  for (let i = 0; rows.size < wanted; i++) rows.add(random.below(i, all));
  const counts = new Uint32Array(tokenizer.vocabularySize);
  for (const token of await corpus.tokenRows([...rows].sort((a, b) => a - b))) counts[token] = counts[token]! + 1;
  const words = await corpus.tokenizer();
  const statistics = async (from: typeof config.reference) =>
    passageStatistics(await loadPassageSet(job.run, corpus, from), counts, (ids) => words.decode(ids));
  const [reference, heldOut] = [await statistics(config.reference), await statistics(config.heldOut)];
  const warnings = [...passageWarnings('reference', reference), ...passageWarnings('heldOut', heldOut)];
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
  return { reference, heldOut, warnings };
}
