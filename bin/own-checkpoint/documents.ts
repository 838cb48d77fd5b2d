/** Scores documents by the rows that they are in, for those who train on whole documents. */
import { createHash } from 'node:crypto';
import type { Corpus } from '../../core/corpus/corpus.ts';
import { readLines } from '../../core/corpus/reading/read-lines.ts';
import { throwIfStopped } from '../../core/errors.ts';
import type { ProgressReporter } from '../../core/progress.ts';
import { finite } from '../../core/selection/scores.ts';
import { readPieces, type Store } from '../../core/storage/index.ts';

/** Tokens of the rows that are in memory at once: some 16 MB. */
const TOKENS_AT_ONCE = 1 << 22;
/** Lines that are written together. */
const LINES = 4096;

interface DocumentScore {
  id: string;
  /** Mean utility of its rows, weighted by the document's tokens in each. */
  utility: number;
  tokens: number;
  /** How many documents of the shard share this id and are counted as one; absent if only one has it. */
  documents?: number;
}

/**
 * The pool's documents as JSON Lines of `{id, utility, tokens}`, in order of shard and place. Only the documents of one
 * shard are in memory at a time.
 *
 * @param poolShards the first shards of the corpus.
 * @param utilities the utilities of all their rows.
 * @throws InterruptedError when the signal is aborted.
 */
export async function* documentScores(
  corpus: Corpus,
  poolShards: readonly number[],
  utilities: Float32Array,
  signal: AbortSignal,
  progress: ProgressReporter,
): AsyncGenerator<Uint8Array> {
  const { shards, sequenceLength, tokenizer } = corpus.index;
  const step = Math.max(1, Math.floor(TOKENS_AT_ONCE / sequenceLength));
  for (const shard of poolShards) {
    const { firstRow, rows } = shards[shard]!;
    const found = new Map<string, { sum: number; tokens: number; ends: number }>();
    for (let begin = firstRow; begin < firstRow + rows; begin += step) {
      throwIfStopped(signal, 'scoring the documents stopped; the same command starts it over.');
      const range = { shard, begin, end: Math.min(firstRow + rows, begin + step) };
      const tokens = await corpus.tokenRows(range);
      for (const [i, ids] of (await corpus.documents(range)).entries()) {
        const row = tokens.subarray(i * sequenceLength, (i + 1) * sequenceLength);
        const lengths = partLengths(row, ids.length, tokenizer.endOfText);
        const ends = endsOf(row, ids.length, tokenizer.endOfText);
        for (const [place, length] of lengths.entries()) {
          if (length === 0) continue;
          const entry = found.get(ids[place]!) ?? { sum: 0, tokens: 0, ends: 0 };
          if (place < ends) entry.ends++;
          entry.sum += length * finite(utilities[begin + i]!);
          entry.tokens += length;
          found.set(ids[place]!, entry);
        }
      }
      progress({ step: 'Score the documents', done: range.end, total: utilities.length, unit: 'rows' });
    }
    const documents = [...found].map(([id, { sum, tokens, ends }]): DocumentScore => {
      const document = { id, utility: sum / tokens, tokens };
      return ends > 1 ? { ...document, documents: ends } : document;
    });
    yield* jsonLines(documents);
  }
}

/**
 * How many of a row's tokens belong to each of its documents, which end with a mark. If the numbers of parts and
 * documents differ, the documents share the row evenly: a text may contain the mark itself, and a row that joins the
 * ends of several domains also names documents that are in its neighbour.
 */
export function partLengths(row: ArrayLike<number>, documents: number, mark: number): number[] {
  const lengths = markedParts(row, mark);
  if (lengths.length === documents) return lengths;
  const share = Math.floor(row.length / documents);
  return Array.from({ length: documents }, (_, i) => share + (i < row.length % documents ? 1 : 0));
}

/** How many of a row's documents, counted from the first, end in it; 0 if its parts do not match its documents. */
function endsOf(row: Int32Array, documents: number, mark: number): number {
  const parts = markedParts(row, mark).length;
  if (parts !== documents) return 0;
  return row.at(-1) === mark ? parts : parts - 1;
}

/** Tokens in each part of a row: up to and including each mark, and what follows the last one. */
function markedParts(row: ArrayLike<number>, mark: number): number[] {
  const lengths: number[] = [];
  let begin = 0;
  for (let i = 0; i < row.length; i++) {
    if (row[i] !== mark && i + 1 < row.length) continue;
    lengths.push(i + 1 - begin);
    begin = i + 1;
  }
  return lengths;
}

/** Which documents are the best: all above a utility, and some of those that have exactly this utility. */
export interface DocumentCut {
  utility: number;
  /** Line numbers, from 1, of the documents with exactly this utility that are taken. */
  ties: Set<number>;
  documents: number;
  tokens: number;
  poolDocuments: number;
  /** Documents whose id another document has too. */
  sharingIds: number;
}

/**
 * The best documents, ties broken by id, until they have a number of tokens. Takes some 30 bytes of memory per
 * document.
 *
 * @param scores the lines that {@link documentScores} makes.
 * @param budget in tokens; the last document may exceed it.
 */
export async function cutDocuments(scores: { store: Store; key: string }, budget: number): Promise<DocumentCut> {
  const utilities: number[] = [];
  const tokens: number[] = [];
  const ids: number[] = [];
  for await (const { document } of readScores(scores)) {
    for (let i = 0; i < (document.documents ?? 1); i++) ids.push(idHash(document.id));
    utilities.push(document.utility);
    tokens.push(document.tokens);
  }
  const order = Uint32Array.from(utilities.keys()).sort((a, b) => utilities[b]! - utilities[a]!);
  let [last, reached] = [-1, 0];
  while (reached < budget && last + 1 < order.length) reached += tokens[order[++last]!]!;
  const utility = utilities[order[last]!]!;
  const above = order.subarray(0, last + 1).filter((line) => utilities[line]! > utility);
  let taken = above.reduce((sum, line) => sum + tokens[line]!, 0);

  const tied: { id: string; line: number; tokens: number }[] = [];
  for await (const { line, document } of readScores(scores))
    if (document.utility === utility) tied.push({ line, ...document });
  tied.sort((a, b) => (a.id === b.id ? a.line - b.line : a.id < b.id ? -1 : 1));
  const ties = new Set<number>();
  for (const { line, tokens } of tied) {
    if (taken >= budget) break;
    ties.add(line);
    taken += tokens;
  }
  return {
    utility,
    ties,
    documents: above.length + ties.size,
    tokens: taken,
    poolDocuments: order.length,
    sharingIds: sharing(ids),
  };
}

/** 53 bits, as many as a number holds exactly: two of a hundred million ids are unlikely to have the same hash. */
function idHash(id: string): number {
  const hash = createHash('sha256').update(id).digest();
  return hash.readUIntBE(0, 6) * 32 + (hash[6]! >> 3);
}

/** How many of the values occur more than once. */
function sharing(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  return sorted.reduce((count, value, i) => count + Number(value === sorted[i - 1] || value === sorted[i + 1]), 0);
}

/** The documents as JSON Lines of `{id, utility, tokens, selected}`, in the order of the file of scores. */
export async function* documentLines(
  scores: { store: Store; key: string },
  { utility, ties }: DocumentCut,
): AsyncGenerator<Uint8Array> {
  let lines: object[] = [];
  for await (const { line, document } of readScores(scores)) {
    lines.push({ ...document, selected: document.utility > utility || ties.has(line) });
    if (lines.length < LINES) continue;
    yield* jsonLines(lines);
    lines = [];
  }
  yield* jsonLines(lines);
}

async function* readScores({ store, key }: { store: Store; key: string }) {
  for await (const { number: line, text } of readLines(readPieces(store, key), key))
    yield { line, document: JSON.parse(text) as DocumentScore };
}

function* jsonLines(values: readonly object[]): Generator<Uint8Array> {
  for (let first = 0; first < values.length; first += LINES) {
    const lines = values.slice(first, first + LINES).map((value) => `${JSON.stringify(value)}\n`);
    yield Buffer.from(lines.join(''));
  }
}
