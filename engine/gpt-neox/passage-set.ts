import type { Passage } from '../../core/corpus/passages.ts';
import { accumulate } from '../adamw.ts';
import { paddedLengths } from '../padding.ts';
import type { ParameterSet } from '../parameters.ts';
import type { LanguageModel, TokenBatch } from './language-model.ts';
import { TargetStates } from './target-states.ts';

/**
 * Lengths that the batches of a set are padded to. Each is a graph of its own, which is compiled and keeps its working
 * memory, some 50 MB at a width of 512. With eight instead of the 48 of 1,024 LAMBADA passages, 4 % more tokens are read.
 */
const LENGTHS = 8;

/** Passages in memory at once: on a CPU 8 were a quarter faster a core than 32, as more leave the cache. */
const CPU_ROWS = 8;
/** To a GPU the parameters cross once a batch, so that few and large ones are better, as far as their logits have room. */
const GPU_ROWS = 64;
const GPU_TOKENS = 16_384;

/** Hidden states that the head reads at once, at most: see `CHUNK_TOKENS` in `ops.ts`. */
const HEAD_ROWS = 512;

/**
 * The head reads a multiple of so many states: what remains of a tensor after the last whole vector is computed by other
 * routines, with other last bits, and a loss should not depend on its place.
 */
const VECTOR = 16;

/** A token that counts. */
interface Target {
  row: number;
  /** Of the token that it is predicted after. */
  position: number;
  token: number;
  /** 1 / (targets of its passage x passages of the set). */
  weight: number;
}

/** What is read of a batch: all but the last tokens of its rows, and the targets there. */
interface Read {
  batch: TokenBatch;
  targets: Target[];
  /** The targets' positions, as many of each row, where the last layer computes no other states. */
  positions?: Int32Array;
  /** The hidden state that predicts each target, by its number in what the model gives. */
  states: number[];
}

/**
 * Passages ready to be measured: sorted by length and cut into batches padded on the right, once, so that every probe
 * and evaluation runs the same few graphs. Only the states that predict a target go through the head, whose vocabulary is
 * most of the arithmetic of a small model.
 */
export class PassageSet {
  readonly passages: number;
  private readonly model: LanguageModel;
  private readonly batches: TokenBatch[];
  private readonly reads: Read[];
  /** Targets that the head reads at once, equal parts of all. */
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
    this.headRows = Math.ceil(count / Math.ceil(count / HEAD_ROWS) / VECTOR) * VECTOR;
  }

  /** L(R): the mean over passages of the mean cross-entropy, in nats, of each passage's target tokens. */
  async loss(parameters: ParameterSet): Promise<number> {
    return (await this.losses(parameters)).perPassage;
  }

  /** The mean over passages as {@link loss} has it, and the mean over all target tokens, where long passages weigh more. */
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
 * The last layer computes all states, or as many of each row as the row with most targets has: those only where that is
 * at most half of every row, so that it is less work. A set does one or the other, so that it runs few graphs.
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

/** The batch less the last token of each row, which predicts nothing. */
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
