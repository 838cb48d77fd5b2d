import type { RunConfig } from './schema.ts';

/** Entries of the embedding and the output head: the tokenizer's, padded to a multiple as Pythia's is. */
export function paddedVocabulary(entries: number, { vocabularyMultiple }: RunConfig['model']): number {
  return Math.ceil(entries / vocabularyMultiple) * vocabularyMultiple;
}
