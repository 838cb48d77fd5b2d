import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { comparisonWith, exclusionWarnings, passageWarnings, unusedWarnings } from '../../core/diagnostics/passages.ts';
import type { PassagesCheck } from '../../core/formats.ts';

export interface CheckedPassages {
  from: RunConfig['reference'];
  passages: readonly Passage[];
  /** How many passages the file has. */
  found: number;
  /** `textHash` of each passage; absent if the run itself keeps them out of its corpus. */
  hashes?: ReadonlySet<string>;
}

/** Compares the passages with the corpus. */
export async function checkPassages(
  corpus: Corpus,
  seed: number,
  given: Record<'reference' | 'heldOut', CheckedPassages>,
): Promise<PassagesCheck> {
  const compare = await comparisonWith(corpus, seed);
  const [reference, heldOut] = [compare(given.reference.passages), compare(given.heldOut.passages)];
  const unused: string[] = [];
  const kept: string[] = [];
  for (const name of ['reference', 'heldOut'] as const) {
    const { from, passages, found, hashes } = given[name];
    unused.push(...unusedWarnings(name, from, passages, found));
    if (hashes) kept.push(...exclusionWarnings(`${name}.input`, from.input, hashes, corpus.index));
  }
  const warnings = [
    ...unused,
    ...kept,
    ...passageWarnings('reference.input', reference),
    ...passageWarnings('heldOut.input', heldOut),
  ];
  return { format: 'mates-passages/1', reference, heldOut, warnings };
}
