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
  const requests = task.items.flatMap((item, index) => {
    const whole = encodeItem(task, item, tokenizer, contextLength, beginning);
    return whole.map((pair, option): TaskRequest => {
      const targets = pair.tokens.length - pair.firstTarget;
      const at = `${task.file}, line ${item.line}`;
      if (targets < 1)
        throw new InputError(
          `${at}: ${counted(pair.tokens.length, 'token leaves', 'tokens leave')} nothing to score; remove the line.`,
        );
      if (targets > contextLength)
        throw new InputError(
          `${at}: a continuation of ${targets} tokens is longer than the ${contextLength} that the model reads; remove the line.`,
        );
      const fitting = lastTokens(pair, contextLength + 1); // the last token is predicted, not read
      if (fitting.tokens.length < pair.tokens.length) cut++;
      return { ...fitting, item: index, option };
    });
  });
  return { ...task, requests, truncated: cut };
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
