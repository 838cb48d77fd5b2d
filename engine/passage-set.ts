import type { Passage } from '../core/corpus/passages.ts';
import { accumulate } from './adamw.ts';
import type { LanguageModel, TokenBatch } from './language-model.ts';
import { paddedLengths } from './padding.ts';
import type { ParameterSet } from './parameters.ts';

/**
 * Lengths that the batches of a set are padded to. Each is a graph of its own, which is compiled and keeps its working
 * memory, some 100 MB at a vocabulary of 50,304. With eight instead of the 48 of 1,024 LAMBADA passages, 4 % more tokens
 * are read.
 */
const LENGTHS = 8;

/** Passages in memory at once: on a CPU 8 were a quarter faster a core than 32, as more leave the cache. */
const CPU_ROWS = 8;
/** To a GPU the parameters cross once a batch, so that few and large ones are better, as far as their logits have room. */
const GPU_ROWS = 64;
const GPU_TOKENS = 16_384;

/**
 * Passages ready to be measured: sorted by length and cut into batches padded on the right, once, so that every probe
 * and evaluation runs the same few graphs.
 */
export class PassageSet {
  readonly passages: number;
  private readonly model: LanguageModel;
  private readonly batches: TokenBatch[];

  /**
   * @param rowsPerBatch passages that are in memory at once.
   */
  constructor(model: LanguageModel, passages: readonly Passage[], rowsPerBatch = rowsAtOnce(model, passages)) {
    this.model = model;
    this.passages = passages.length;
    const byLength = [...passages].sort((a, b) => a.tokens.length - b.tokens.length);
    const starts = Array.from({ length: Math.ceil(byLength.length / rowsPerBatch) }, (_, i) => i * rowsPerBatch);
    const parts = starts.map((start) => byLength.slice(start, start + rowsPerBatch));
    const lengths = paddedLengths(
      parts.map((part) => part.at(-1)!.tokens.length),
      LENGTHS,
    );
    this.batches = parts.map((part, i) => paddedBatch(part, passages.length, lengths[i]));
  }

  /** L(R): the mean over passages of the mean cross-entropy, in nats, of each passage's target tokens. */
  async loss(parameters: ParameterSet): Promise<number> {
    return (await this.losses(parameters)).perPassage;
  }

  /** The mean over passages as {@link loss} has it, and the mean over all target tokens, where long passages weigh more. */
  async losses(parameters: ParameterSet): Promise<{ perPassage: number; perToken: number }> {
    let [weighted, plain, targets] = [0, 0, 0]; // float64, in a fixed order
    for (const batch of this.batches) {
      const losses = await this.model.tokenLosses(parameters, batch);
      const weights = batch.weights!;
      for (let i = 0; i < losses.length; i++) {
        if (weights[i] === 0) continue;
        weighted += weights[i]! * losses[i]!;
        plain += losses[i]!;
        targets++;
      }
    }
    return { perPassage: weighted, perToken: plain / targets };
  }

  /** The gradient of {@link loss}, summed over the batches into `gradient`, which is overwritten. */
  async gradient(parameters: ParameterSet, gradient: ParameterSet): Promise<void> {
    const part = gradient.sibling();
    gradient.flat.fill(0);
    for (const batch of this.batches) {
      await this.model.lossAndGradient(parameters, batch, part);
      accumulate(gradient.flat, part.flat);
    }
  }
}

function rowsAtOnce({ onGpu }: LanguageModel, passages: readonly Passage[]): number {
  if (!onGpu) return CPU_ROWS;
  const longest = passages.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
  return Math.max(CPU_ROWS, Math.min(GPU_ROWS, Math.floor(GPU_TOKENS / longest)));
}

/**
 * Passages as one padded batch; a target's weight is 1 / (targets of its passage x `total`).
 *
 * @param total passages of the whole set that the batch is a part of.
 * @param length tokens that each row is padded to; by default those of the longest.
 */
export function paddedBatch(
  passages: readonly Passage[],
  total = passages.length,
  length = Math.max(...passages.map((passage) => passage.tokens.length)),
): Omit<Required<TokenBatch>, 'microBatches'> {
  const tokens = new Int32Array(passages.length * length);
  const weights = new Float32Array(passages.length * (length - 1));
  passages.forEach((passage, row) => {
    tokens.set(passage.tokens, row * length);
    const first = Math.max(1, passage.firstTarget);
    const weight = 1 / ((passage.tokens.length - first) * total);
    weights.fill(weight, row * (length - 1) + first - 1, row * (length - 1) + passage.tokens.length - 1);
  });
  return { batch: passages.length, length, tokens, weights };
}

/** Mean next-token loss of each full row, in nats a token. `tokens` is [rows x length]. */
export async function rowLosses(
  model: LanguageModel,
  parameters: ParameterSet,
  tokens: Int32Array,
  length: number,
  rowsPerBatch = 16,
): Promise<Float64Array> {
  const rows = tokens.length / length;
  const losses = new Float64Array(rows);
  for (let first = 0; first < rows; first += rowsPerBatch) {
    const batch = Math.min(rowsPerBatch, rows - first);
    const part = { batch, length, tokens: tokens.subarray(first * length, (first + batch) * length) };
    const perToken = await model.tokenLosses(parameters, part);
    for (let row = 0; row < batch; row++) {
      let sum = 0;
      for (let i = row * (length - 1); i < (row + 1) * (length - 1); i++) sum += perToken[i]!;
      losses[first + row] = sum / (length - 1);
    }
  }
  return losses;
}
