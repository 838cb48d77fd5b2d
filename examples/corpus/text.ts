/** Pure helpers on text: paragraphs, sentences, documents of a useful length, word runs, and repeatable draws. */
import { CounterRandom, permutation } from '../../core/random/philox.ts';

/** One line of a corpus file. */
export interface CorpusDocument {
  id: string;
  text: string;
  domain: string;
}

/** Lengths of a document in characters. Shorter ones say too little to a probe, longer ones fill a whole shard of a small run. */
export const MIN_CHARACTERS = 300;
export const MAX_CHARACTERS = 4000;

/** The seed of everything random here; each use has its own stream below. */
const SEED = 20240610;

/** Streams of the random numbers, apart from those a run uses (`STREAM` in core/random). */
export const CORPUS_STREAM = {
  documentLength: 64,
  sample: 65,
  shuffledWords: 66,
  nearDuplicates: 67,
  logs: 68,
  boilerplate: 69,
  numbers: 70,
  passages: 71,
} as const;

/** Random draws in sequence: draw n is number n of the stream, so a generator repeats byte for byte. */
export class Draws {
  private next = 0;
  private readonly random: CounterRandom;

  constructor(stream: number) {
    this.random = new CounterRandom(SEED, stream);
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.random.below(this.next++, limit);
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.random.uniform(this.next++) < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A copy in random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [copy[i], copy[j]] = [copy[j]!, copy[i]!];
    }
    return copy;
  }
}

/** Typographic quotes and dashes as the plain ones of the older transcriptions, so that no author is told by them alone. */
export function plainTypography(text: string): string {
  return text
    .replace(/[“”]/g, '"')
    .replace(/[‘’]/g, "'")
    .replace(/\s*—\s*/g, '--')
    .replace(/[\u00a0\u2011]/g, (c) => (c === '\u00a0' ? ' ' : '-'));
}

/** Paragraphs (parted by blank lines), each on one line with single spaces. */
export function paragraphs(text: string): string[] {
  return text
    .split(/\n[ \t]*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '');
}

/** Sentences of one paragraph; the end of one is a stop (and closing quotes) before a space and a capital or a quote. */
export function sentences(paragraph: string): string[] {
  const parts = paragraph.split(/(?<=[.!?]["')]*) +(?=["'(]*[A-Z])/);
  // "Mr." and its like end no sentence.
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && /\b(Mr|Mrs|Ms|Dr|St|Rev|Hon|Col|Capt|Esq|No|Gen|Messrs|[A-Z])\.$/.test(last)) {
      joined[joined.length - 1] = `${last} ${part}`;
    } else joined.push(part);
  }
  return joined;
}

/**
 * Joins blocks (paragraphs, entries or sentences, in order) to texts of MIN_CHARACTERS to MAX_CHARACTERS. The length
 * aimed at varies from text to text; a block that is too long is cut at sentence ends; a short rest joins the text
 * before it or is left out.
 */
export function packBlocks(blocks: readonly string[], separator: string, draws: Draws): string[] {
  const texts: string[] = [];
  let parts: string[] = [];
  let length = 0;
  let target = draws.between(500, 2600);
  const close = () => {
    const text = parts.join(separator);
    const last = texts.at(-1);
    if (text.length >= MIN_CHARACTERS) texts.push(text);
    else if (last !== undefined && text !== '' && last.length + separator.length + text.length <= MAX_CHARACTERS) {
      texts[texts.length - 1] = last + separator + text;
    }
    parts = [];
    length = 0;
    target = draws.between(500, 2600);
  };
  for (const block of blocks) {
    if (block.length > MAX_CHARACTERS) {
      close();
      texts.push(
        ...packBlocks(
          sentences(block).filter((s) => s.length <= MAX_CHARACTERS),
          ' ',
          draws,
        ),
      );
      continue;
    }
    if (length + block.length > MAX_CHARACTERS) close();
    parts.push(block);
    length += block.length + separator.length;
    if (length >= target) close();
  }
  close();
  return texts;
}

/** A random choice of items, in their old order, until their `length` property reaches `characters` in sum. */
export function sampleTexts(texts: readonly string[], characters: number, stage: number): string[] {
  const order = permutation(texts.length, new CounterRandom(SEED, CORPUS_STREAM.sample, stage));
  const chosen: number[] = [];
  let sum = 0;
  for (const index of order) {
    if (sum >= characters) break;
    chosen.push(index);
    sum += texts[index]!.length;
  }
  return chosen.sort((a, b) => a - b).map((index) => texts[index]!);
}

/** Documents numbered in order: `<domain>-0001`. */
export function numbered(domain: string, texts: readonly string[]): CorpusDocument[] {
  return texts.map((text, i) => ({ id: `${domain}-${String(i + 1).padStart(4, '0')}`, text, domain }));
}

/** Words in lower case without punctuation, as the overlap check compares them. */
export function words(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+(?:'[a-z]+)*/g) ?? [];
}

/** Every run of `n` words of a text, each as one string; none when the text is shorter. */
export function* wordRuns(text: string, n: number): Generator<string> {
  const list = words(text);
  for (let i = 0; i + n <= list.length; i++) yield list.slice(i, i + n).join(' ');
}
