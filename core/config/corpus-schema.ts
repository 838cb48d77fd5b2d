/** The corpus of a configuration: texts that the run prepares itself, or a corpus that is prepared already. */
import { z } from 'zod';
import type { CorpusIndex } from '../formats.ts';
import { SEQUENCE_LENGTH, SHARDS } from './ranges.ts';

const positive = z.int().positive();
const path = z.string().min(1);

const tokenizer = z.union(
  [
    z
      .strictObject({
        file: path,
        /** Which of its added tokens ends a document, if none has a usual name such as `<|endoftext|>`, or another does. */
        endOfText: z.string().min(1).optional(),
      })
      .describe('a Hugging Face tokenizer.json'),
    z.strictObject({ train: positive.min(257) }).describe('train a byte-level BPE of this vocabulary on the corpus'),
  ],
  { error: 'expected {"file": a tokenizer.json} or {"train": a vocabulary of at least 257}, one of the two' },
);

export const corpusFields = z.strictObject({
  /** A corpus that `mates prepare` made. It brings all else, so that no other field may stand beside it. */
  prepared: path.optional(),
  /** Files or globs, relative to the configuration file: .jsonl, .jsonl.gz, .jsonl.zst, .txt, .parquet. */
  input: z.array(path).default([]),
  tokenizer: tokenizer.default({ train: 2048 }),
  /** Tokens in a row; a row is what is probed, scored, selected and trained on. */
  sequenceLength: positive.min(SEQUENCE_LENGTH.least).max(SEQUENCE_LENGTH.most).default(128),
  /** Rows are dealt to shards by document; pools are sets of shards, so pools share no document. */
  shards: positive.min(SHARDS.least).max(SHARDS.most).default(32),
  /** The fields of a document, in JSON Lines and Parquet; without the last two it is named after its file and line. */
  textField: z.string().default('text'),
  domainField: z.string().default('domain'),
  idField: z.string().default('id'),
  /** `remove` keeps only one of several documents that say nearly the same; exact duplicates are always removed. */
  nearDuplicates: z.enum(['keep', 'remove']).default('keep'),
});

/** Of a prepared corpus its place alone is recorded: what it was made of is written in its `corpus.json`. */
export const corpus = corpusFields.transform(({ prepared, ...texts }) =>
  prepared === undefined ? { prepared, ...texts } : { prepared },
);

type CorpusConfig = z.output<typeof corpus>;
/** A corpus that the run prepares itself. */
export type TextsConfig = Extract<CorpusConfig, { input: string[] }>;

/** Undefined where the corpus is prepared already. */
export const textsOf = (corpus: CorpusConfig): TextsConfig | undefined =>
  corpus.prepared === undefined ? corpus : undefined;

/** Tokens in a row. Of a prepared corpus that cannot be read yet, as many as there would be by default. */
export const rowTokens = (corpus: CorpusConfig, index?: CorpusIndex): number =>
  index?.sequenceLength ?? textsOf(corpus)?.sequenceLength ?? corpusFields.shape.sequenceLength.parse(undefined);

/** By group, fields that exclude what else the group may have. */
const EXCLUSIVE: Readonly<Record<string, readonly string[]>> = { corpus: ['prepared'], tokenizer: ['file', 'train'] };

/** Whether a change of these fields of a group replaces the group, as what it has had cannot stand beside them. */
export const replacesGroup = (group: string | undefined, changed: readonly string[]): boolean =>
  changed.some((name) => EXCLUSIVE[group ?? '']?.includes(name));
