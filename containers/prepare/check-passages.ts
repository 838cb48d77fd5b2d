import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { comparisonWith, exclusionWarnings, passageWarnings } from '../../core/diagnostics/passages.ts';
import type { PassagesCheck } from '../../core/formats.ts';

export interface CheckedPassages {
  /** The passages' file. */
  input: string;
  passages: readonly Passage[];
  /** How many passages the configuration asks for. */
  wanted: number;
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
  const few: string[] = [];
  const kept: string[] = [];
  for (const [name, { input, passages, wanted, hashes }] of Object.entries(given)) {
    if (passages.length < wanted)
      few.push(`${name}.passages is ${wanted}, and ${input} has ${passages.length}: these are used.`);
    if (hashes) kept.push(...exclusionWarnings(`${name}.input`, input, hashes, corpus.index));
  }
  const warnings = [
    ...few,
    ...kept,
    ...passageWarnings('reference.input', reference),
    ...passageWarnings('heldOut.input', heldOut),
  ];
  return { format: 'mates-passages/1', reference, heldOut, warnings };
}
