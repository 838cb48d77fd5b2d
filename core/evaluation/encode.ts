import { lastTokens, type Passage } from '../corpus/passages.ts';
import { InputError } from '../errors.ts';
import { counted } from '../plural.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { type Beginning, encodeBegun, encodePair, plainBeginning, rollingWindows } from './prompt.ts';
import type { Task, TaskItem } from './task.ts';

/** One likelihood to be measured. */
export interface TaskRequest extends Passage {
  /** Place of its item in the task, and of its pair (or window of a text) in the item. */
  item: number;
  option: number;
}

/** A task as a model reads it. */
export interface EncodedTask extends Task {
  /** Item by item, in the order of their options. */
  requests: TaskRequest[];
  /** Requests whose context was cut at its start. */
  truncated: number;
}

/**
 * Encodes every item.
 *
 * @param contextLength tokens that the model reads; longer contexts lose their start.
 * @throws InputError naming the line when nothing of a pair is left to score, or its continuation alone is too long.
 */
export function encodeTask(
  task: Task,
  tokenizer: Tokenizer,
  contextLength: number,
  beginning = plainBeginning(tokenizer),
): EncodedTask {
  let cut = 0;
  const tooLong = new Map<number, number>(); // tokens by line
  const requests = task.items.flatMap((item, index) => {
    const whole = encodeItem(task, item, tokenizer, contextLength, beginning);
    return whole.map((pair, option): TaskRequest => {
      const targets = pair.tokens.length - pair.firstTarget;
      const at = `${task.file}, line ${item.line}`;
      if (targets < 1)
        throw new InputError(
          `${at}: ${counted(pair.tokens.length, 'token leaves', 'tokens leave')} nothing to score; remove the line.`,
        );
      if (targets > contextLength && targets > (tooLong.get(item.line) ?? 0)) tooLong.set(item.line, targets);
      const fitting = lastTokens(pair, contextLength + 1); // the last token is predicted, not read
      if (fitting.tokens.length < pair.tokens.length) cut++;
      return { ...fitting, item: index, option };
    });
  });
  if (tooLong.size > 0) refuseLong(task.file, tooLong, contextLength);
  return { ...task, requests, truncated: cut };
}

/** Names all lines at once: whoever removes one should not have to try again for the next. */
function refuseLong(file: string, tooLong: ReadonlyMap<number, number>, contextLength: number): never {
  const [[first, tokens] = [], ...others] = tooLong;
  const longer = `a continuation of ${tokens} tokens is longer than the ${contextLength} that the model reads`;
  const named = others.slice(0, 20).map(([line]) => line);
  const also = others.length === 0 ? '' : `, and so ${others.length === 1 ? 'is one in line' : 'are those in lines'} `;
  const more = others.length > named.length ? ` and ${others.length - named.length} more` : '';
  throw new InputError(
    `${file}, line ${first}: ${longer}${also}${named.join(', ')}${more}; remove ${others.length === 0 ? 'the line' : 'these lines'}.`,
  );
}

function encodeItem(
  task: Task,
  item: TaskItem,
  tokenizer: Tokenizer,
  contextLength: number,
  beginning: Beginning,
): Passage[] {
  if (task.layout !== 'text') return item.pairs.map((pair) => encodePair(pair, tokenizer, beginning));
  const tokens = encodeBegun(item.pairs[0]!.continuation, tokenizer, beginning);
  return rollingWindows(tokens, beginning.prefix, contextLength);
}
