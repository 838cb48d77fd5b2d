import { ConfigError } from '../errors.ts';
import type { RunConfig } from './schema.ts';

/**
 * Rows of the embedding and the output head: as configured, else the tokenizer's entries, padded to a multiple as
 * Pythia's are.
 *
 * @param whose what to call the tokenizer in messages.
 * @throws ConfigError when the tokenizer has more entries than configured.
 */
export function paddedVocabulary(entries: number, model: RunConfig['model'], whose = 'the tokenizer'): number {
  const { vocabularyMultiple, vocabularySize = Math.ceil(entries / vocabularyMultiple) * vocabularyMultiple } = model;
  if (entries <= vocabularySize) return vocabularySize;
  throw new ConfigError(
    `model.vocabularySize is ${vocabularySize}, but ${whose} has ${entries} entries: ` +
      (model.pretrained === undefined
        ? 'raise it, or leave it out.'
        : 'name the tokenizer of model.pretrained, without added tokens that the model has no row for.'),
  );
}
