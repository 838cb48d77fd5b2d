/** Loads a Hugging Face tokenizer.json: byte-level BPEs with our own encoder, any other kind with the library. */
import { ConfigError } from '../errors.ts';
import { sha256 } from '../hash.ts';
import { BpeEncoder } from './bpe-encoder.ts';
import { BYTE_CHARACTERS, hasAllBytes, splitWords, tokenBytes } from './byte-level.ts';
import { libraryTokenizer } from './library-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { AddedToken, TokenizerJson } from './tokenizer-json.ts';

/** Names of the token that ends a document, in order of preference: GPT, Llama 3, Gemma, Llama 2, BERT, others. */
const END_OF_TEXT_NAMES = [
  '<|endoftext|>',
  '<|end_of_text|>',
  '<eos>',
  '</s>',
  '[SEP]',
  '[EOS]',
  '<EOS>',
  '<|im_end|>',
];

/** Which token ends a document. @default - one with a usual name */
export interface TokenizerOptions {
  /** The token, or its id. */
  end?: string | number | undefined;
  /** A token that is taken if it is one of the added tokens. */
  preferredEnd?: string | undefined;
}

/** The id of the token with a usual name that ends documents, if a tokenizer.json has one. */
export function usualEndOfText(source: Uint8Array, name: string): number | undefined {
  const json = parse(new TextDecoder().decode(source), name);
  return usualEnd(json, vocabulary(json, name));
}

/**
 * Loads a tokenizer.json.
 *
 * @param source the file's bytes or text.
 * @param name what to name in messages: the file's path or URI.
 * @throws ConfigError when it is not a tokenizer.json, has no end-of-text token, or would give other ids than Hugging Face's.
 */
export function loadTokenizer(source: Uint8Array | string, name: string, options: TokenizerOptions = {}): Tokenizer {
  const json = parse(typeof source === 'string' ? source : new TextDecoder().decode(source), name);
  const vocab = vocabulary(json, name);
  const endOfText = endOf(json, vocab, options);
  if (endOfText === undefined)
    throw new ConfigError(
      `${name}: ` +
        (options.end === undefined
          ? `it has no token that usually ends a document (${END_OF_TEXT_NAMES.join(', ')}); name the one that does in corpus.tokenizer.endOfText.`
          : `${JSON.stringify(options.end)} is none of its added tokens, of which one has to end documents; correct corpus.tokenizer.endOfText.`),
    );
  let vocabularySize = 0;
  for (const id of vocab.values()) vocabularySize = Math.max(vocabularySize, id + 1);
  const facts = { vocabularySize, endOfText, sha256: sha256(source) };
  return byteLevelBpe(json, facts) ?? { ...facts, ...libraryTokenizer(json, vocab, name) };
}

type Facts = Pick<Tokenizer, 'vocabularySize' | 'endOfText' | 'sha256'>;

function parse(text: string, name: string): TokenizerJson {
  let json: TokenizerJson | undefined;
  try {
    json = JSON.parse(text) as TokenizerJson;
  } catch (error) {
    throw new ConfigError(`${name}: not a tokenizer.json (${(error as Error).message}).`);
  }
  if (typeof json?.model?.vocab !== 'object' || json.model.vocab === null) {
    throw new ConfigError(`${name}: not a Hugging Face tokenizer.json (it has no model.vocab).`);
  }
  return json;
}

/** The id of the token that ends a document; only an added token can be named, as texts contain the others. */
function endOf(json: TokenizerJson, vocab: Map<string, number>, { end, preferredEnd }: TokenizerOptions) {
  const named = (token?: string) => json.added_tokens?.find(({ content }) => content === token)?.id;
  if (typeof end === 'number') return end;
  return end === undefined ? (named(preferredEnd) ?? usualEnd(json, vocab)) : named(end);
}

/** Prefers a special token: Gemma has HTML's `</s>` as a token like any other. */
function usualEnd({ added_tokens = [] }: TokenizerJson, vocab: Map<string, number>): number | undefined {
  const special = new Map(added_tokens.filter((token) => token.special).map(({ content, id }) => [content, id]));
  const first = (ids: Map<string, number>) =>
    END_OF_TEXT_NAMES.map((token) => ids.get(token)).find((id) => id !== undefined);
  return first(special) ?? first(vocab);
}

/**
 * Ids end below this. Models have a row of weights for each id up to the highest, and a list is as long as its highest id,
 * so that one wrong id would take all memory. The largest vocabulary known, XLM-V's, has some 900,000 tokens.
 */
const ID_LIMIT = 1 << 24;

/**
 * Every token's id, added tokens included.
 *
 * @throws ConfigError naming the file and the token when an id cannot be one.
 */
export function vocabulary({ model, added_tokens = [] }: TokenizerJson, file: string): Map<string, number> {
  const vocab = new Map<string, number>();
  const add = (token: string, id: number) => {
    if (!Number.isInteger(id) || id < 0 || id >= ID_LIMIT)
      throw new ConfigError(
        `${file}: the token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}, a whole number from 0 to ` +
          `${ID_LIMIT - 1} was expected; download or export the tokenizer again.`,
      );
    vocab.set(token, id);
  };
  if (Array.isArray(model.vocab)) for (const [id, [token]] of model.vocab.entries()) add(token, id);
  else for (const [token, id] of Object.entries(model.vocab)) add(token, id);
  for (const { content, id } of added_tokens) add(content, id);
  return vocab;
}

/**
 * The quick way, for tokenizers like those of `trainBpe` and the GPT-2, Pythia and OLMo families; undefined for other
 * kinds.
 */
function byteLevelBpe(json: TokenizerJson, facts: Facts): Tokenizer | undefined {
  const { model, normalizer, pre_tokenizer: words, decoder, added_tokens = [] } = json;
  const plainModel =
    model.type === 'BPE' &&
    model.merges &&
    !Array.isArray(model.vocab) &&
    !model.dropout &&
    !model.continuing_subword_prefix &&
    !model.end_of_word_suffix &&
    !model.byte_fallback;
  const plainText =
    (!normalizer || normalizer.type === 'NFC') &&
    words?.type === 'ByteLevel' &&
    words.use_regex !== false &&
    words.add_prefix_space === false &&
    decoder?.type === 'ByteLevel';
  if (!plainModel || !plainText || added_tokens.some((token) => token.lstrip || token.rstrip || token.single_word))
    return undefined;

  const ids = new Map(Object.entries(model.vocab as Record<string, number>));
  const bytes: Uint8Array[] = [];
  for (const [token, id] of ids) {
    const spelled = tokenBytes(token);
    if (spelled) bytes[id] = spelled;
  }
  if (!hasAllBytes(ids)) return undefined;
  const merges: [number, number, number][] = [];
  for (const merge of model.merges!) {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ', 2) : merge;
    const merged = [ids.get(left), ids.get(right), ids.get(left + right)];
    if (merged.includes(undefined)) return undefined;
    merges.push(merged as [number, number, number]);
  }
  const encoder = new BpeEncoder(
    Uint32Array.from(BYTE_CHARACTERS, (character) => ids.get(character) ?? 0),
    merges,
    model.ignore_merges ? wholeWords(bytes) : undefined,
  );

  // As in the library, tokens matched in the raw text come first, those matched in normalised text after the
  // normaliser.
  const normalize = normalizer ? (text: string) => text.normalize('NFC') : (text: string) => text;
  const isLate = (token: AddedToken) => token.normalized ?? !token.special;
  const early = splitter(added_tokens.filter((token) => !isLate(token)));
  const late = splitter(added_tokens.filter(isLate).map((token) => ({ ...token, content: normalize(token.content) })));
  const addedText = new Map(added_tokens.map((token) => [token.id, token.content]));

  return {
    ...facts,
    encode(text) {
      const result: number[] = [];
      early(text, result, (part) =>
        late(normalize(part), result, (plain) => {
          for (const word of splitWords(plain)) for (const id of encoder.encodeWord(word)) result.push(id);
        }),
      );
      return result;
    },
    decode: (ids) => decodeBytes(ids, bytes, addedText),
  };
}

type Splitter = (text: string, ids: number[], between: (text: string) => void) => void;

/** Cuts a text at added tokens, leftmost first and the longest of those that start at one place. */
function splitter(tokens: Pick<AddedToken, 'content' | 'id'>[]): Splitter {
  if (tokens.length === 0) return (text, _, between) => between(text);
  const ids = new Map(tokens.map((token) => [token.content, token.id]));
  const escaped = [...ids.keys()]
    .sort((a, b) => b.length - a.length)
    .map((content) => content.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(escaped.join('|'), 'g');
  return (text, result, between) => {
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      if (match.index > end) between(text.slice(end, match.index));
      result.push(ids.get(match[0])!);
      end = match.index + match[0].length;
    }
    if (end < text.length) between(end === 0 ? text : text.slice(end));
  };
}

/** Tokens by the text of their bytes, if the bytes are valid UTF-8. */
function wholeWords(bytes: readonly Uint8Array[]): Map<string, number> {
  const words = new Map<string, number>();
  bytes.forEach((spelled, id) => {
    const text = Buffer.from(spelled).toString();
    if (Buffer.from(text).equals(spelled)) words.set(text, id);
  });
  return words;
}

// ignoreBOM: a byte order mark is text like any other here
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function decodeBytes(ids: ArrayLike<number>, bytes: readonly Uint8Array[], added: Map<number, string>): string {
  let text = '';
  let run: Uint8Array[] = [];
  const flush = () => {
    if (run.length > 0) text += utf8.decode(Buffer.concat(run));
    run = [];
  };
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    const content = added.get(id);
    if (content !== undefined) {
      flush();
      text += content;
    } else if (bytes[id]) {
      run.push(bytes[id]);
    }
  }
  flush();
  return text;
}
