import { isDeepStrictEqual } from 'node:util';
import type { TokenizerJson } from './tokenizer-json.ts';

/** Whether two files of a tokenizer, such as one and the same that Transformers has saved again, give the same ids. */
export function sameIds(one: TokenizerJson, other: TokenizerJson): boolean {
  const [a, b] = [one, other].map(({ model, normalizer, pre_tokenizer, added_tokens }) => {
    const merges = model?.merges?.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
    return { model: { ...model, merges }, normalizer, pre_tokenizer, added_tokens };
  });
  return isDeepStrictEqual(a, b);
}
