/** The tokens that begin and end texts by the files of a Hugging Face directory. */
import { TOKENIZER_FILE } from '../layout.ts';
import { getJsonIfPresent, type Store } from '../storage/index.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

/** A token as a `tokenizer_config.json` names it. */
type NamedToken = string | { content: string } | null | undefined;

export const textOf = (token: NamedToken) => (typeof token === 'string' ? token : token?.content);

interface TokenizerConfig {
  bos_token?: NamedToken;
  eos_token?: NamedToken;
  add_bos_token?: boolean;
}

/** What a directory's `tokenizer_config.json` says; nothing without one. */
export async function tokenizerConfig(store: Store): Promise<TokenizerConfig> {
  return (await getJsonIfPresent<TokenizerConfig>(store, 'tokenizer_config.json')) ?? {};
}

/**
 * What ends a model's texts, and the token of its tokenizer with an id; either is undefined if the files do not say.
 *
 * @param id of an added token.
 */
export async function endsOfTexts(store: Store, id: number): Promise<{ theirs?: string; ours?: string }> {
  const tokenizer = await getJsonIfPresent<TokenizerJson>(store, TOKENIZER_FILE);
  const tokenOf = (end: unknown) => tokenizer?.added_tokens?.find((token) => token.id === end)?.content;
  const named = (await tokenizerConfig(store)).eos_token;
  // The default of a GPTNeoXConfig is 2, an ordinary token of most vocabularies.
  const { eos_token_id } = (await getJsonIfPresent<{ eos_token_id?: unknown }>(store, 'config.json')) ?? {};
  return { theirs: textOf(named) ?? tokenOf(eos_token_id), ours: tokenOf(id) };
}
