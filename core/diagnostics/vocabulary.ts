/** Whether a tokenizer that was trained has the vocabulary that was asked for. */
import type { CorpusIndex } from '../formats.ts';

/** Models have as many embeddings: one that is smaller than planned should not be met with later. */
export function vocabularyWarnings(
  { tokenizer }: Pick<CorpusIndex, 'tokenizer'>,
  asked: { file: string } | { train: number },
): string[] {
  if (!('train' in asked) || tokenizer.vocabularySize >= asked.train) return [];
  return [
    `the tokenizer has a vocabulary of ${tokenizer.vocabularySize}, not the ${asked.train} of corpus.tokenizer.train: ` +
      'in the text that it is trained on no further pair occurs twice; add text, or ask for no more.',
  ];
}
