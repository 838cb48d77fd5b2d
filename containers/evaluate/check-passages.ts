import type { Corpus } from '../../core/corpus/corpus.ts';
import { comparisonWith, passageWarnings } from '../../core/diagnostics/passages.ts';
import type { PassagesCheck } from '../../core/formats.ts';
import type { Job } from '../job.ts';
import { loadPassageSet } from '../passages.ts';

/** Compares the passages with a sample of the corpus, and says on stderr what a user should know. */
export async function checkPassages({ run }: Job, corpus: Corpus): Promise<PassagesCheck> {
  const { config } = run.record;
  const compare = await comparisonWith(corpus, config.seed);
  const reference = compare(await loadPassageSet(run, corpus, config.reference));
  const heldOut = compare(await loadPassageSet(run, corpus, config.heldOut));
  const warnings = [...passageWarnings('reference.input', reference), ...passageWarnings('heldOut.input', heldOut)];
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
  return { reference, heldOut, warnings };
}
