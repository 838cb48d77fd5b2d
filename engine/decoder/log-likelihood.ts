/** Batched log-likelihoods of given tokens after given contexts, as zero-shot evaluation needs them. */
import type { Passage } from '../../core/corpus/passages.ts';
import type { RequestResult } from '../../core/evaluation/index.ts';
import type { ParameterSet } from '../parameters.ts';
import type { LanguageModel } from './language-model.ts';
import { TargetStates } from './target-states.ts';

export interface LikelihoodOptions {
  /** The most rows in one forward pass; by default enough for about 512 tokens, or 16,384 on a GPU. */
  rowsPerBatch?: number;
  /** Called after each forward pass with the number of requests done; may throw to stop. */
  onProgress?: (done: number) => void;
}

/** Tokens in one forward pass. For Pythia-70m's shape, 256 to 2,048 were equally fast; fewer waste less at the end. */
const CPU_TOKENS = 512;
/** Every pass on a GPU copies the parameters there, so few large passes are better. */
const GPU_TOKENS = 16_384;

/**
 * Hidden states that the head reads at once: enough to make each pass over its weights, or their copy to a GPU, worth
 * it.
 */
const CPU_HEAD_ROWS = 128;
const GPU_HEAD_ROWS = 512;

/**
 * The likelihood of each request, in their order. Rows are padded on the right to one of a few lengths, since a graph is
 * compiled for each. Only the hidden states at target positions go through the head, because in a small model the
 * product with the vocabulary is most of the arithmetic. Requests that differ only in their last token (the choices
 * "yes" and "no") share a row.
 *
 * A request's results have the same bits whatever other requests there are, in whatever order, because the length of
 * its row alone determines the graph; with `rowsPerBatch`, the number of rows of that length may change the last bits.
 */
export async function logLikelihoods(
  model: LanguageModel,
  parameters: ParameterSet,
  requests: readonly Passage[],
  { rowsPerBatch, onProgress }: LikelihoodOptions = {},
): Promise<RequestResult[]> {
  const results = requests.map(() => ({ logLikelihood: 0, greedy: true }));
  const size = { rows: model.onGpu ? GPU_HEAD_ROWS : CPU_HEAD_ROWS, width: model.shape.width };
  const targets = new TargetStates<RequestResult>(size, async (hidden, targets, owners) => {
    const found = await model.targetLogProbabilities(parameters, hidden, targets);
    for (const [i, result] of owners.entries()) {
      const behind = found[2 * i]!; // the target's logit less the largest
      result.logLikelihood += behind + found[2 * i + 1]!;
      result.greedy &&= behind === 0;
    }
  });
  const batchTokens = model.onGpu ? GPU_TOKENS : CPU_TOKENS;
  let done = 0;
  for (const [length, rows] of rowsByLength(requests)) {
    const batch = rowsPerBatch
      ? Math.min(rowsPerBatch, Math.max(2, rows.length))
      : Math.max(2, Math.floor(batchTokens / length));
    for (let first = 0; first < rows.length; first += batch) {
      const part = rows.slice(first, first + batch);
      const tokens = new Int32Array(batch * length); // the last batch is filled up, to reuse the graph
      part.forEach((row, i) => {
        tokens.set(row.read, i * length);
      });
      const states = await model.hiddenStates(parameters, { batch, length, tokens });
      for (const [i, row] of part.entries())
        for (const index of row.requests) {
          const { tokens, firstTarget } = requests[index]!;
          for (let target = firstTarget; target < tokens.length; target++)
            await targets.add(states, i * length + target - 1, tokens[target]!, results[index]!);
        }
      done += part.reduce((sum, row) => sum + row.requests.length, 0);
      onProgress?.(done);
    }
    // Only one length is in memory at a time; compiling it again is cheaper than its first batch.
    await model.releaseHiddenStates({ batch, length });
  }
  await targets.flush();
  return results;
}

/** {@link logLikelihoods} for several lists of requests at once, which share batches and compiled lengths. */
export async function logLikelihoodsOf(
  model: LanguageModel,
  parameters: ParameterSet,
  lists: readonly (readonly Passage[])[],
  options: LikelihoodOptions = {},
): Promise<RequestResult[][]> {
  const all = await logLikelihoods(model, parameters, lists.flat(), options);
  let end = 0;
  return lists.map(({ length }) => {
    end += length;
    return all.slice(end - length, end);
  });
}

/** One row of a batch: the tokens that are read, and the indices of the requests that it answers. */
interface Row {
  read: number[];
  requests: number[];
}

/** The rows that answer all requests, by padded length, shortest first. */
function rowsByLength(requests: readonly Passage[]): [length: number, rows: Row[]][] {
  const rows = new Map<string, Row>();
  for (const [index, { tokens, firstTarget }] of requests.entries()) {
    if (!(firstTarget >= 1 && firstTarget < tokens.length))
      throw new RangeError(`request ${index}: no target after the context (${firstTarget} of ${tokens.length} tokens)`);
    const read = tokens.slice(0, -1);
    const key = read.join();
    const row = rows.get(key);
    if (row) row.requests.push(index);
    else rows.set(key, { read, requests: [index] });
  }
  const byLength = new Map<number, Row[]>();
  for (const row of rows.values()) {
    const length = paddedRowLength(row.read.length);
    const others = byLength.get(length);
    if (others) others.push(row);
    else byLength.set(length, [row]);
  }
  return [...byLength].sort(([a], [b]) => a - b);
}

/** The length that a row is padded to: a multiple of 8 or, beyond 128, of an eighth of the power of two below. */
export function paddedRowLength(tokens: number): number {
  const step = Math.max(8, 2 ** Math.floor(Math.log2(tokens - 1)) / 8);
  return Math.ceil(tokens / step) * step;
}
