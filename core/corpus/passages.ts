/** Reference and held-out passages: JSONL of `{"text"}` or `{"context", "continuation"}`. */
import { InputError } from '../errors.ts';
import { counted } from '../plural.ts';
import { type Pieces, readInput, type StoreOpener } from '../storage/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { textHash } from './document.ts';
import { parseObject } from './reading/read-jsonl.ts';
import { readLines } from './reading/read-lines.ts';

/** Tokens as a model reads them: those from `firstTarget` on count, those before are context. */
export interface Passage {
  tokens: number[];
  /** At least 1: the first token has nothing to be predicted from. */
  firstTarget: number;
  /** Tokens that it has lost at its start, if any. */
  dropped?: number;
}

interface PassageText {
  line: number;
  context: string;
  /** Starts with the space that separates it from the context. */
  continuation: string;
}

/** @throws InputError naming the file, when it does not exist. */
export function readPassageFile(open: StoreOpener, uri: string): Pieces {
  return readInput(open, uri, uri, 'reference.input and heldOut.input name files of passages');
}

/**
 * Reads passages, and no more of the file than that takes.
 *
 * @param name the file, to name in messages.
 * @param limit how many are used, from the start of the file; all of them when there are fewer.
 * @param target `passage`: every token after the first counts; `last-word`: those of the continuation or, of a `text`,
 *   of its last word, as LAMBADA is scored.
 * @param maxTokens longer passages lose tokens at their start.
 * @throws InputError that names the line when a passage is malformed or too short, and when there are none.
 */
export async function loadPassages(
  pieces: Pieces,
  name: string,
  limit: number,
  target: 'passage' | 'last-word',
  tokenizer: Tokenizer,
  maxTokens: number,
): Promise<Passage[]> {
  const passages: Passage[] = [];
  for await (const { line, context, continuation } of parsePassages(pieces, name)) {
    const tokens = tokenizer.encode(context + continuation);
    if (tokens.length < 2) {
      throw new InputError(
        `${name}, line ${line}: a passage of ${counted(tokens.length, 'token')} predicts nothing; remove it.`,
      );
    }
    let firstTarget = 1;
    if (target === 'last-word') {
      if (context === '') {
        throw new InputError(
          `${name}, line ${line}: one word alone has no context to predict it from; remove it, or use target "passage".`,
        );
      }
      // as in lm-evaluation-harness, the continuation is what the whole has beyond as many tokens as the context has
      firstTarget = Math.min(tokenizer.encode(context).length, tokens.length - 1);
    }
    passages.push(lastTokens({ tokens, firstTarget }, maxTokens));
    if (passages.length === limit) break;
  }
  if (passages.length === 0) throw noPassages(name);
  return passages;
}

/** At most the last `most` tokens of a passage: those that count are at its end. */
export function lastTokens({ tokens, firstTarget }: Passage, most: number): Passage {
  const cut = Math.max(0, tokens.length - most);
  return { tokens: tokens.slice(cut), firstTarget: Math.max(1, firstTarget - cut), ...(cut > 0 && { dropped: cut }) };
}

/**
 * `textHash` of the passages in a file, to tell them apart and to keep them out of a corpus. Throws InputError as
 * {@link loadPassages}.
 *
 * @param limit how many passages to read, from the start of the file. @default all
 */
export async function passageHashes(
  pieces: Pieces,
  name: string,
  limit = Number.POSITIVE_INFINITY,
): Promise<Set<string>> {
  const hashes = new Set<string>();
  let read = 0;
  for await (const { context, continuation } of parsePassages(pieces, name)) {
    hashes.add(textHash(context + continuation));
    if (++read === limit) break;
  }
  if (hashes.size === 0) throw noPassages(name);
  return hashes;
}

/** How many passages a file has, and the bytes of their text. */
export interface MeasuredPassages {
  passages: number;
  bytes: number;
}

/**
 * Measures the passages of a file that are used. Throws InputError as {@link loadPassages}.
 *
 * @param limit how many are used, from the start of the file. @default all
 */
export async function measurePassages(
  pieces: Pieces,
  name: string,
  limit = Number.POSITIVE_INFINITY,
): Promise<MeasuredPassages> {
  const measured = { passages: 0, bytes: 0 };
  for await (const { context, continuation } of parsePassages(pieces, name)) {
    measured.bytes += Buffer.byteLength(context + continuation);
    if (++measured.passages === limit) break;
  }
  if (measured.passages === 0) throw noPassages(name);
  return measured;
}

async function* parsePassages(pieces: Pieces, name: string): AsyncGenerator<PassageText, void, undefined> {
  for await (const { number: line, text } of readLines(pieces, name)) {
    if (text.trim() === '') continue;
    const record = parseObject(text, name, line);
    if (typeof record.text === 'string' && record.text.trim() !== '') {
      yield { line, ...splitLastWord(record.text.trimEnd()) };
    } else if (typeof record.context === 'string' && typeof record.continuation === 'string') {
      const { context, continuation } = record as { context: string; continuation: string };
      if (continuation.trim() === '')
        throw new InputError(`${name}, line ${line}: the continuation is empty; remove it.`);
      const start = context.trimEnd();
      const joint = start === '' || /^\s/.test(continuation) ? '' : context.slice(start.length) || ' ';
      yield { line, context: start, continuation: joint + continuation };
    } else {
      throw new InputError(
        `${name}, line ${line}: expected {"text": "..."} or {"context": "...", "continuation": "..."}, ` +
          `found the fields ${Object.keys(record).join(', ') || 'none'} (strings that are not empty are needed).`,
      );
    }
  }
}

/** Cuts before the white space that precedes the last word. */
function splitLastWord(text: string): { context: string; continuation: string } {
  const cut = text.search(/\s+\S+$/);
  return cut > 0 ? { context: text.slice(0, cut), continuation: text.slice(cut) } : { context: '', continuation: text };
}

function noPassages(name: string): InputError {
  return new InputError(`${name}: no passages; give JSON Lines of {"text": "..."}.`);
}
