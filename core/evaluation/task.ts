/**
 * Zero-shot tasks: JSON Lines in one of four layouts.
 *
 * | layout | a line | how it is scored |
 * |---|---|---|
 * | `choices` | `{"query", "choices", "gold"}` | the likeliest choice after the query |
 * | `contexts` | `{"context_options", "continuation", "gold"}` | the context after which the continuation is likeliest (Winogrande's partial scoring) |
 * | `continuation` | `{"context", "continuation"}` | the continuation's likelihood, and whether it is the greedy one (LAMBADA) |
 * | `text` | `{"text"}` | bits per byte of the whole |
 */
import { parseObject } from '../corpus/reading/read-jsonl.ts';
import { readLines } from '../corpus/reading/read-lines.ts';
import { InputError } from '../errors.ts';
import { type Pieces, readInput, type StoreOpener } from '../storage/index.ts';
import { conventionOf, taskName } from './conventions.ts';
import { joined, type Pair } from './prompt.ts';

export type Layout = 'choices' | 'contexts' | 'continuation' | 'text';

/** One line of a task. */
export interface TaskItem {
  /** From 1. */
  line: number;
  /** What is scored: one pair for each option; in the layout `text`, the whole text after an empty context. */
  pairs: Pair[];
  /** Which pair is right; 0 if there is only one. */
  gold: number;
  /** The choices as the file has them, whose lengths normalise their log-likelihoods; only in the layout `choices`. */
  choices?: string[];
}

export interface Task {
  name: string;
  /** To name in messages. */
  file: string;
  layout: Layout;
  /** Whether the choices' log-likelihoods are also compared by length: `acc_norm`. */
  normalised: boolean;
  items: TaskItem[];
}

export interface TaskOptions {
  /** By default the file's name without its extension. */
  name?: string;
  /** What separates a context from its continuation; by default the harness's for a task of this name. */
  delimiter?: string;
  /** Lines that are used, from the start of the file. */
  limit?: number;
}

/** A task that a configuration names. Throws InputError as {@link parseTask}, and when there is no such file. */
export function readTask(open: StoreOpener, { file, ...options }: TaskOptions & { file: string }): Promise<Task> {
  return parseTask(readInput(open, file, file, 'evaluation.tasks names JSON Lines files'), file, options);
}

/**
 * Reads a task file.
 *
 * @param file its path or URI.
 * @throws InputError that names the line which is malformed or of another layout than the first, and when there is none.
 */
export async function parseTask(pieces: Pieces, file: string, options: TaskOptions = {}): Promise<Task> {
  const { name = taskName(file), limit = Number.POSITIVE_INFINITY } = options;
  const convention = conventionOf(name);
  const delimiter = options.delimiter ?? convention.delimiter;
  const items: TaskItem[] = [];
  let layout: Layout | undefined;
  for await (const { number: line, text } of readLines(pieces, file)) {
    if (items.length >= limit) break;
    if (text.trim() === '') continue;
    const at = `${file}, line ${line}`;
    const record = parseObject(text, file, line);
    const found = layoutOf(record);
    if (!found) throw new InputError(`${at}: ${unknownLayout(record)}`);
    layout ??= found;
    if (found !== layout)
      throw new InputError(`${at}: the fields are those of ${FIELDS[found]}, the first line has ${FIELDS[layout]}.`);
    items.push({ line, ...ITEM[layout](record, delimiter, at) });
  }
  if (!layout) throw new InputError(`${file}: no items; give JSON Lines of ${Object.values(FIELDS).join(' or ')}.`);
  const normalised = layout === 'choices' && convention.normalised !== false;
  return { name, file, layout, normalised, items };
}

const FIELDS: Record<Layout, string> = {
  choices: '{"query", "choices", "gold"}',
  contexts: '{"context_options", "continuation", "gold"}',
  continuation: '{"context", "continuation"}',
  text: '{"text"}',
};

type JsonRecord = Record<string, unknown>;

function layoutOf(record: JsonRecord): Layout | undefined {
  if ('query' in record && 'choices' in record) return 'choices';
  if ('context_options' in record) return 'contexts';
  if ('context' in record && 'continuation' in record) return 'continuation';
  return 'text' in record ? 'text' : undefined;
}

function unknownLayout(record: JsonRecord): string {
  const found = Object.keys(record).join(', ') || 'none';
  return `expected ${Object.values(FIELDS).join(' or ')}, found the fields ${found}.`;
}

type ItemReader = (record: JsonRecord, delimiter: string | undefined, at: string) => Omit<TaskItem, 'line'>;

const ITEM: Record<Layout, ItemReader> = {
  choices(record, delimiter, at) {
    const query = string(record, 'query', at);
    const choices = strings(record, 'choices', at);
    const pairs = choices.map((choice) => joined(query, choice, delimiter));
    return { pairs, choices, gold: goldOf(record, choices.length, at) };
  },
  contexts(record, delimiter, at) {
    const contexts = strings(record, 'context_options', at);
    const continuation = filled(record, 'continuation', at);
    const pairs = contexts.map((context) => joined(context, continuation, delimiter));
    return { pairs, gold: goldOf(record, contexts.length, at) };
  },
  continuation(record, delimiter, at) {
    const continuation = filled(record, 'continuation', at);
    const context = string(record, 'context', at);
    // The harness puts no delimiter before the target of a task of this kind, whose text begins here.
    if (context === '') return { pairs: [{ context, continuation }], gold: 0 };
    return { pairs: [joined(context, continuation, delimiter)], gold: 0 };
  },
  text: (record, _, at) => ({ pairs: [{ context: '', continuation: filled(record, 'text', at) }], gold: 0 }),
};

function string(record: JsonRecord, field: string, at: string): string {
  const value = record[field];
  if (typeof value === 'string') return value;
  throw new InputError(`${at}: ${field} is ${shown(value)}; a string was expected.`);
}

/** A string with something other than white space in it. */
function filled(record: JsonRecord, field: string, at: string): string {
  const value = string(record, field, at);
  if (value.trim() !== '') return value;
  throw new InputError(`${at}: ${field} is empty; remove the line.`);
}

function strings(record: JsonRecord, field: string, at: string): string[] {
  const value = record[field];
  if (
    Array.isArray(value) &&
    value.length >= 2 &&
    value.every((item) => typeof item === 'string' && item.trim() !== '')
  )
    return value;
  throw new InputError(`${at}: ${field} is ${shown(value)}; two or more strings that are not empty were expected.`);
}

function goldOf({ gold }: JsonRecord, options: number, at: string): number {
  if (typeof gold === 'number' && Number.isInteger(gold) && gold >= 0 && gold < options) return gold;
  throw new InputError(
    `${at}: gold is ${shown(gold)}; the place of the right option was expected, 0 to ${options - 1}.`,
  );
}

const shown = (value: unknown) => (value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60));
