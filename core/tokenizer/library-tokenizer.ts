/** Tokenizers of any kind, by Hugging Face's library for JavaScript, which reads some parts unlike the original in Rust. */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { ConfigError, InputError } from '../errors.ts';
import { SPACE, WORDS_AND_PUNCTUATION } from '../unicode.ts';
import { hasAllBytes } from './byte-level.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { AddedToken, NormalizerJson, PreTokenizerJson, TokenizerJson } from './tokenizer-json.ts';

/**
 * Any tokenizer.json by the library, at about a tenth of the speed.
 *
 * @throws ConfigError for a kind that the library does not know, or reads as something else.
 */
export function libraryTokenizer(
  json: TokenizerJson,
  vocab: ReadonlyMap<string, number>,
  name: string,
): Pick<Tokenizer, 'encode' | 'decode'> {
  const misread = misreadBy(json, vocab);
  if (misread)
    throw new ConfigError(`${name}: ${misread}, which is not supported: its ids would differ from Hugging Face's.`);
  const lowered = loweringSigma(json);
  const words = json.pre_tokenizer && asInRust(json.pre_tokenizer, json, name);
  // For a WordLevel model, the library does not know it.
  const unknown = vocab.get(json.model.unk_token ?? '');
  let library: LibraryTokenizer;
  try {
    library = new LibraryTokenizer({ ...json, pre_tokenizer: words }, { clean_up_tokenization_spaces: false });
  } catch (error) {
    throw new ConfigError(`${name}: a kind of tokenizer that is not supported (${(error as Error).message}).`);
  }
  return {
    encode(text) {
      try {
        const { ids } = library.encode(lowered(text), { add_special_tokens: false }) as {
          ids: (number | undefined)[];
        };
        return ids.map((id) => id ?? unknown).filter((id) => id !== undefined);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // some kinds hand over all ids of a text as arguments of one call
        throw new InputError(
          `a text of ${text.length} characters is too long for a tokenizer of the kind ${json.model.type}: cut it into shorter documents.`,
        );
      }
    },
    decode: (ids) => (ids.length === 0 ? '' : library.decode(Array.from(ids), { clean_up_tokenization_spaces: false })),
  };
}

/**
 * What to do with a text before a tokenizer that folds case reads it: JavaScript lowers the last sigma of a word to another
 * letter, Hugging Face's own goes character by character.
 */
function loweringSigma(json: Pick<TokenizerJson, 'normalizer'>): (text: string) => string {
  const folds = normalizers(json).some(({ type, lowercase }) => type === 'Lowercase' || lowercase === true);
  return folds ? (text) => text.replaceAll('Σ', 'σ') : (text) => text;
}

/** What the library (0.2.0) reads as something else, in words; undefined when there is nothing of that kind. */
function misreadBy(json: TokenizerJson, vocab: ReadonlyMap<string, number>): string | undefined {
  const { model, added_tokens = [] } = json;
  const single = added_tokens.find((token) => token.single_word);
  if (single) return `the added token "${single.content}" has single_word`;
  const token = folded(json);
  if (token) return `the added token "${token.content}" is changed by the normalizer that it is looked for after`;
  if (model.type === 'BPE' && model.continuing_subword_prefix)
    return `the BPE has the continuing_subword_prefix ${JSON.stringify(model.continuing_subword_prefix)}`;
  if (model.type === 'BPE' && !model.unk_token && !model.byte_fallback && !hasAllBytes(vocab))
    return 'the BPE has neither an unk_token nor all bytes';
  if (model.type === 'Unigram' && model.byte_fallback) return 'the Unigram has byte_fallback';
  // The library has the table nmt_nfkc of SentencePiece in place of the file's own, and that does not fold case.
  const precompiled = normalizers(json).some(({ type }) => type === 'Precompiled');
  if (precompiled && ![...vocab.keys()].some((token) => /[A-Z]/.test(token) && !isAdded(token, json)))
    return 'the Precompiled normalizer seems to fold case, as no token has a capital letter';
  return undefined;
}

/** The first added token that is looked for in normalised text, as it is written, where normalising changes it. */
function folded({ added_tokens = [], ...json }: TokenizerJson): AddedToken | undefined {
  const folding = ['Lowercase', 'StripAccents', 'NFD', 'NFKD'];
  if (!normalizers(json).some(({ type, lowercase }) => folding.includes(type) || lowercase === true)) return undefined;
  const plain = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  return added_tokens.find(({ special, normalized = !special, content }) => normalized && plain(content) !== content);
}

const isAdded = (token: string, { added_tokens = [] }: TokenizerJson) =>
  added_tokens.some(({ content }) => content === token);

/** The normalizers that are applied, those of a sequence one by one. */
function normalizers({ normalizer }: Pick<TokenizerJson, 'normalizer'>): NormalizerJson[] {
  const flat = (one: NormalizerJson): NormalizerJson[] => (one.normalizers ? one.normalizers.flatMap(flat) : [one]);
  return normalizer ? flat(normalizer) : [];
}

/** What pre-tokenizers in Rust take for punctuation. */
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';

const split = (pattern: string, behavior: 'Isolated' | 'Removed', invert = false): PreTokenizerJson => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior,
  invert,
});

/**
 * The pre-tokenizer, changed so that the library cuts a text as Hugging Face's own does. The library's `Whitespace` and
 * `Digits` know ASCII letters and digits alone, those that cut at white space know JavaScript's, and its `Punctuation`
 * keeps marks together whatever the file says, while the regular expressions of its `Split` know all of Unicode's.
 *
 * @throws ConfigError for what the library would read as something else.
 */
function asInRust(words: PreTokenizerJson, json: TokenizerJson, name: string): PreTokenizerJson {
  switch (words.type) {
    case 'Sequence':
      return { ...words, pretokenizers: (words.pretokenizers ?? []).map((one) => asInRust(one, json, name)) };
    case 'Whitespace':
      return split(WORDS_AND_PUNCTUATION, 'Removed', true);
    case 'WhitespaceSplit':
      return split(`${SPACE}+`, 'Removed');
    case 'BertPreTokenizer':
      // After BERT's normalizer there is no white space but the usual, unless it is told to leave it.
      if (normalizers(json).some(({ type, clean_text }) => type === 'BertNormalizer' && clean_text !== false))
        return words;
      return { type: 'Sequence', pretokenizers: [split(`${SPACE}+`, 'Removed'), split(PUNCTUATION, 'Isolated')] };
    case 'Digits':
      return split(words.individual_digits ? '\\p{N}' : '\\p{N}+', 'Isolated');
    case 'Punctuation':
      switch (words.behavior?.toLowerCase() ?? 'isolated') {
        case 'isolated':
          return split(PUNCTUATION, 'Isolated');
        case 'removed':
          return split(PUNCTUATION, 'Removed');
        case 'contiguous':
          return split(`${PUNCTUATION}+`, 'Isolated');
        default:
          throw unsupported(words, name);
      }
    case 'Split':
      if (!/^(isolated|removed)$/i.test(words.behavior ?? '')) throw unsupported(words, name);
      return words;
    case 'FixedLength': // the library counts UTF-16's units
      throw new ConfigError(`${name}: the pre-tokenizer FixedLength is not supported.`);
    default:
      return words;
  }
}

const unsupported = ({ type, behavior }: PreTokenizerJson, name: string) =>
  new ConfigError(`${name}: the pre-tokenizer ${type} has the behavior ${behavior}, which is not supported.`);
