/** The tokens that begin and end texts by the files of a Hugging Face directory. */
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

/** What ends a model's texts, and what a corpus's documents; either is undefined if the files do not say. */
export interface Ends {
  theirs?: string | undefined;
  ours?: string | undefined;
}

/**
 * @param store the model's directory.
 * @param tokenizer of both.
 * @param id of the added token that ends documents of the corpus.
 */
export async function endsOfTexts(
  store: Store,
  tokenizer: Pick<TokenizerJson, 'added_tokens'>,
  id: number,
): Promise<Ends> {
  const tokenOf = (end: unknown) => tokenizer.added_tokens?.find((token) => token.id === end)?.content;
  const named = (await tokenizerConfig(store)).eos_token;
  // The default of a GPTNeoXConfig is 2, an ordinary token of most vocabularies.
  const { eos_token_id } = (await getJsonIfPresent<{ eos_token_id?: unknown }>(store, 'config.json')) ?? {};
  return { theirs: textOf(named) ?? tokenOf(eos_token_id), ours: tokenOf(id) };
}

/** The warning that two ends differ. */
export function otherEnd({ theirs, ours }: Ends, model: string, corpus: string, remedy: string): string[] {
  if (theirs === undefined || ours === undefined || theirs === ours) return [];
  return [
    `${model} has ${theirs} as its eos_token, but documents of ${corpus} end with ${ours}. ` +
      `If the model was trained with the former between documents, ${remedy}.`,
  ];
}
