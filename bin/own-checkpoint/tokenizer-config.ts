import { getJsonIfPresent, type Store } from '../../core/storage/index.ts';

/** A token as a Hugging Face `tokenizer_config.json` names it. */
type NamedToken = string | { content: string } | null | undefined;

export const textOf = (token: NamedToken) => (typeof token === 'string' ? token : token?.content);

interface TokenizerConfig {
  bos_token?: NamedToken;
  eos_token?: NamedToken;
  add_bos_token?: boolean;
}

/** What a directory's `tokenizer_config.json` says of the tokens that begin and end texts; nothing without one. */
export async function tokenizerConfig(store: Store): Promise<TokenizerConfig> {
  return (await getJsonIfPresent<TokenizerConfig>(store, 'tokenizer_config.json')) ?? {};
}
