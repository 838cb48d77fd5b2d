import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { comparisonWith, passageWarnings } from '../../core/diagnostics/passages.ts';
import type { PassagesCheck } from '../../core/formats.ts';

/** Compares the passages with a sample of the corpus, and says on stderr what a user should know. */
export async function checkPassages(
  corpus: Corpus,
  seed: number,
  references: readonly Passage[],
  others: readonly Passage[],
): Promise<PassagesCheck> {
  const compare = await comparisonWith(corpus, seed);
  const [reference, heldOut] = [compare(references), compare(others)];
  const warnings = [...passageWarnings('reference.input', reference), ...passageWarnings('heldOut.input', heldOut)];
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
  return { format: 'mates-passages/1', reference, heldOut, warnings };
}
