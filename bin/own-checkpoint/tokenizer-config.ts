import { getJsonIfPresent, type Store } from '../../core/storage/index.ts';

/** A token as a Hugging Face `tokenizer_config.json` names it. */
type NamedToken = string | { content: string } | null | undefined;

export const textOf = (token: NamedToken) => (typeof token === 'string' ? token : token?.content);

/** What a directory's `tokenizer_config.json` says of the tokens that begin and end texts; nothing without one. */
export async function tokenizerConfig(store: Store): Promise<Partial<Record<'bos_token' | 'eos_token', NamedToken>>> {
  return (await getJsonIfPresent<object>(store, 'tokenizer_config.json')) ?? {};
}
