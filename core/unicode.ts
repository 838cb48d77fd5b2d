/**
 * Members of character classes, for regular expressions with the flag `u`: what `\w` and `\s` stand for by Unicode
 * Technical Standard 18, annex C, in Rust and in PyPI's `regex`. JavaScript's `\w` is ASCII's, and its `\s` differs at
 * U+0085 and U+FEFF.
 */
export const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
export const SPACE = '\\p{White_Space}';

/** Words and runs of punctuation: `\w+|[^\w\s]+`. */
export const WORDS_AND_PUNCTUATION = `[${WORD}]+|[^${WORD}${SPACE}]+`;
