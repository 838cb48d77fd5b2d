import type { Passage } from '../../core/corpus/passages.ts';
import { accumulate } from '../adamw.ts';
import { paddedLengths, partSize } from '../padding.ts';
import type { ParameterSet } from '../parameters.ts';
import type { LanguageModel, TokenBatch } from './language-model.ts';
import { TargetStates } from './target-states.ts';

/**
 * The number of lengths that the batches of a set are padded to. Each needs its own compiled graph, which keeps its
 * working memory, some 50 MB at a width of 512. With eight lengths instead of the 48 of 1,024 LAMBADA passages, 4 %
 * more tokens are read.
 */
const LENGTHS = 8;

/** Passages in memory at once. On a CPU, 8 were a quarter faster per core than 32, which overflow the cache. */
const CPU_ROWS = 8;
/** Every batch on a GPU copies the parameters there, so few large batches are better, as long as their logits fit. */
const GPU_ROWS = 64;
const GPU_TOKENS = 16_384;

/** The most hidden states that the head reads at once: see `CHUNK_TOKENS` in `losses.ts`. */
const HEAD_ROWS = 512;

/** A token that counts toward the loss. */
interface Target {
  row: number;
  /** Position of the token before it, after which it is predicted. */
  position: number;
  token: number;
  /** 1 / (targets of its passage x passages of the set). */
  weight: number;
}

/** The part of a batch that is read: all but the last token of each row, and the targets. */
interface Read {
  batch: TokenBatch;
  targets: Target[];
  /** The targets' positions, the same number for each row, if the last layer computes only the states there. */
  positions?: Int32Array;
  /** The index, in the model's output, of the hidden state that predicts each target. */
  states: number[];
}

/**
 * Passages ready to be measured: sorted by length and cut into padded batches just once, so that every probe
 * and evaluation runs the same few graphs. Only the states that predict a target go through the head, because in a
 * small model the product with the vocabulary is most of the arithmetic.
 */
export class PassageSet {
  readonly passages: number;
  private readonly model: LanguageModel;
  private readonly batches: TokenBatch[];
  private readonly reads: Read[];
  /** Targets that the head reads at once: all targets, divided into equal parts. */
  private readonly headRows: number;

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
    this.reads = readsOf(this.batches);
    const count = this.reads.reduce((sum, { targets }) => sum + targets.length, 0);
    this.headRows = partSize(count, HEAD_ROWS);
  }

  /** L(R): the mean over passages of the mean cross-entropy, in nats, of each passage's target tokens. */
  async loss(parameters: ParameterSet): Promise<number> {
    return (await this.losses(parameters)).perPassage;
  }

  /**
   * The mean over passages, as in {@link loss}, and the mean over all target tokens, in which long passages weigh more.
   */
  async losses(parameters: ParameterSet): Promise<{ perPassage: number; perToken: number }> {
    let [weighted, plain, count] = [0, 0, 0]; // float64, in a fixed order
    const size = { rows: this.headRows, width: this.model.shape.width };
    const predictions = new TargetStates<Target>(size, async (hidden, tokens, targets) => {
      const losses = await this.model.targetLosses(parameters, hidden, tokens);
      for (const [i, { weight }] of targets.entries()) {
        weighted += weight * losses[i]!;
        plain += losses[i]!;
        count++;
      }
    });
    for (const { batch, targets, positions, states } of this.reads) {
      const hidden = positions
        ? await this.model.hiddenStatesAt(parameters, batch, positions)
        : await this.model.hiddenStates(parameters, batch);
      for (const [i, target] of targets.entries()) await predictions.add(hidden, states[i]!, target.token, target);
    }
    await predictions.flush();
    return { perPassage: weighted, perToken: plain / count };
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
 * The last layer computes either all states or, for each row, as many as the row with the most targets needs. It does
 * the latter only if that is at most half of every row, so that it saves work. All batches of a set do the same, so
 * that the set runs few graphs.
 */
function readsOf(batches: readonly TokenBatch[]): Read[] {
  const reads = batches.map((batch) => ({ batch: withoutLast(batch), targets: targetsOf(batch) }));
  const most = Math.max(...reads.map(({ batch, targets }) => mostTargets(batch.batch, targets)));
  const few = reads.every(({ batch }) => 2 * most <= batch.length);
  return reads.map(({ batch, targets }) => {
    if (!few) return { batch, targets, states: targets.map(({ row, position }) => row * batch.length + position) };
    const positions = new Int32Array(batch.batch * most);
    const taken = new Array<number>(batch.batch).fill(0);
    const states = targets.map(({ row, position }) => {
      const state = row * most + taken[row]!++;
      positions[state] = position;
      return state;
    });
    return { batch, targets, positions, states };
  });
}

function mostTargets(rows: number, targets: readonly Target[]): number {
  const counts = new Array<number>(rows).fill(0);
  for (const { row } of targets) counts[row]!++;
  return Math.max(...counts);
}

/** The batch without the last token of each row, which predicts nothing. */
function withoutLast({ batch, length, tokens }: TokenBatch): TokenBatch {
  const steps = length - 1;
  const read = new Int32Array(batch * steps);
  for (let row = 0; row < batch; row++) read.set(tokens.subarray(row * length, row * length + steps), row * steps);
  return { batch, length: steps, tokens: read };
}

function targetsOf({ batch, length, tokens, weights }: TokenBatch): Target[] {
  const targets: Target[] = [];
  for (let row = 0; row < batch; row++)
    for (let position = 0; position < length - 1; position++) {
      const weight = weights![row * (length - 1) + position]!;
      if (weight !== 0) targets.push({ row, position, token: tokens[row * length + position + 1]!, weight });
    }
  return targets;
}

/**
 * Passages as one padded batch; a target's weight is 1 / (targets of its passage x `total`).
 *
 * @param total number of passages in the whole set that the batch is a part of.
 * @param length number of tokens that each row is padded to; by default the length of the longest passage.
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
