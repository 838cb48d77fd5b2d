/** How a context and its continuation become tokens, as lm-evaluation-harness does it. */
import type { Passage } from '../corpus/passages.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

/** A text to be scored: log P(continuation | context). */
export interface Pair {
  context: string;
  continuation: string;
}

/** White space as Python's `str.isspace` has it; JavaScript's `\s` differs at U+001C to U+001F, U+0085 and U+FEFF. */
const SPACE = '[\\p{White_Space}\\x1c-\\x1f]';
const TRAILING_SPACE = new RegExp(`${SPACE}+$`, 'u');
const LEADING_SPACE = new RegExp(`^${SPACE}+`, 'u');

/**
 * Puts a continuation after a context.
 *
 * @param delimiter stands between them in place of any white space that is there. If the context already ends with its
 *   visible part, such as "Answer:", that is not written again. Without a delimiter the white space between them stays
 *   as it is, or is one space if there is none, even after an empty context, as in the harness.
 */
export function joined(context: string, continuation: string, delimiter?: string): Pair {
  if (delimiter === undefined) {
    const apart = TRAILING_SPACE.test(context) || LEADING_SPACE.test(continuation);
    return { context, continuation: apart ? continuation : ` ${continuation}` };
  }
  const start = context.replace(TRAILING_SPACE, '');
  const visible = delimiter.replace(TRAILING_SPACE, '');
  const space = delimiter.slice(visible.length);
  const there = start.endsWith(visible.replace(LEADING_SPACE, ''));
  return {
    context: there ? start : start + visible,
    continuation: space + continuation.replace(LEADING_SPACE, ''),
  };
}

/** What a text begins with. */
export interface Beginning {
  /** The token that a text without a context follows. */
  prefix: number;
  /** Tokens that the tokenizer puts before a text, such as Llama's `<s>`, unless it already begins with the prefix. */
  added: readonly number[];
}

/** That of tokenizers which add nothing. */
export const plainBeginning = ({ endOfText }: Tokenizer): Beginning => ({ prefix: endOfText, added: [] });

/** A text's tokens, behind those that the tokenizer puts before it. */
export function encodeBegun(text: string, tokenizer: Tokenizer, { prefix, added }: Beginning): number[] {
  const tokens = tokenizer.encode(text);
  return tokens[0] === prefix ? tokens : [...added, ...tokens];
}

/**
 * The harness's `_encode_pair`: white space at the context's end belongs to the continuation; the two are encoded as one
 * text, and the continuation's tokens are those beyond the context's own number of tokens. Without a context the
 * continuation follows the prefix.
 *
 * Two cases that the harness cannot score: a context of white space alone counts as none; and if the continuation's
 * first letters merge into the context's last token, so that nothing is left, the last token counts.
 */
export function encodePair(
  { context, continuation }: Pair,
  tokenizer: Tokenizer,
  beginning = plainBeginning(tokenizer),
): Passage {
  const start = context.replace(TRAILING_SPACE, '');
  const { prefix } = beginning;
  const begun = start === '' ? { prefix, added: [prefix] } : beginning;
  const tokens = encodeBegun(context + continuation, tokenizer, begun);
  if (start === '') return { tokens, firstTarget: 1 };
  const before = encodeBegun(start, tokenizer, beginning).length;
  return { tokens, firstTarget: Math.max(1, Math.min(before, tokens.length - 1)) };
}

/**
 * The harness's rolling windows over a whole text: each token is predicted once, the first one from `prefix`,
 * with as much context as fits in windows that do not overlap, except for the last one, which is full.
 */
export function rollingWindows(tokens: readonly number[], prefix: number, contextLength: number): Passage[] {
  if (!(contextLength >= 1)) throw new RangeError(`a context of ${contextLength} tokens predicts none.`);
  const windows: Passage[] = [];
  const all = [prefix, ...tokens];
  for (let predicted = 0; predicted < tokens.length; ) {
    const end = Math.min(predicted + contextLength, tokens.length);
    const begin = predicted === 0 ? 0 : end - contextLength;
    windows.push({ tokens: all.slice(begin, end + 1), firstTarget: predicted - begin + 1 });
    predicted = end;
  }
  return windows;
}

/** Words and bytes of a text, as the harness counts them. */
export function textSize(text: string): { words: number; bytes: number } {
  return { words: text.split(new RegExp(`${SPACE}+`, 'u')).length, bytes: Buffer.byteLength(text) };
}
