/** What a user should know about a prepared corpus, compared with what was asked for. */
import type { TextsConfig } from '../config/corpus-schema.ts';
import type { CorpusIndex } from '../formats.ts';
import { domainWarnings } from './domains.ts';

export function corpusWarnings(
  index: CorpusIndex,
  { domainField, tokenizer }: Pick<TextsConfig, 'domainField' | 'tokenizer'>,
): string[] {
  return [...domainWarnings(index, domainField), ...vocabularyWarnings(index, tokenizer)];
}

/** It sets the number of a model's embeddings, so nobody should find out later that it is smaller than planned. */
function vocabularyWarnings({ tokenizer }: CorpusIndex, asked: TextsConfig['tokenizer']): string[] {
  if (!('train' in asked) || tokenizer.vocabularySize >= asked.train) return [];
  return [
    `the tokenizer has a vocabulary of ${tokenizer.vocabularySize}, not the ${asked.train} of corpus.tokenizer.train: ` +
      'in the text that it is trained on no further pair occurs twice; add text, or ask for no more.',
  ];
}
