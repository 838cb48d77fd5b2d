/**
 * Kinds of characters as PyPI `regex` defines them, by which the package's tokenizer splits a text (NLTK's
 * `WordPunctTokenizer`, NLTK 3.10): word characters by Unicode Technical Standard 18, annex C, and white space. Before
 * NLTK 3.10 it was Python's `re`, which ends a word at a combining mark and takes digits such as U+00B2 into it.
 * Characters newer than this Node's Unicode are punctuation.
 */
import { SPACE, WORD, WORDS_AND_PUNCTUATION } from '../unicode.ts';

export const WORDS = new RegExp(WORDS_AND_PUNCTUATION, 'gu');

export const KIND = { space: 0, word: 1, punctuation: 2, surrogate: 3 } as const;

/** A character's kind in the bits from {@link KIND_SHIFT} on, below them its lower case. */
export type Character = number;
export const KIND_SHIFT = 21;
export const LOWER_CASE = (1 << KIND_SHIFT) - 1;

/** The character of each UTF-16 unit; half of a surrogate pair has the kind `surrogate`. */
export function characterTable(): Uint32Array {
  return Uint32Array.from({ length: 0x1_0000 }, (_, unit) =>
    unit >= 0xd800 && unit < 0xe000 ? (KIND.surrogate << KIND_SHIFT) | unit : characterOf(unit),
  );
}

/**
 * The character of a code point. Its lower case ignores context; for U+0130, where that is two characters, it is the
 * first.
 */
export function characterOf(codePoint: number): Character {
  const text = String.fromCodePoint(codePoint);
  const kind = isWord.test(text) ? KIND.word : isSpace.test(text) ? KIND.space : KIND.punctuation;
  return (kind << KIND_SHIFT) | text.toLowerCase().codePointAt(0)!;
}

const isWord = new RegExp(`[${WORD}]`, 'u');
const isSpace = new RegExp(`[${SPACE}]`, 'u');
