/**
 * Which pieces of documents go through the encoder together. A piece's padded length and the size of its batch depend
 * on the piece alone, and batches that are not full are filled up with padding, because different shapes run different
 * kernels, which round differently. So the result for a piece does not depend on the other pieces of the request.
 */

export interface PieceBatchPlan {
  /** Tokens that each piece is padded to. */
  length: number;
  /** Pieces that the batch has room for, the same for all batches of a length. */
  capacity: number;
  /** Whether every piece has the longest length, so that none is padded. */
  full: boolean;
  /** Indices of the pieces in it. */
  pieces: number[];
}

export interface PieceLimits {
  /** Tokens in the longest possible piece. */
  longest: number;
  /** Approximate number of tokens in a batch, padding included; batches consist of whole pieces. */
  batchTokens: number;
}

/** The most padded lengths that there can be: each needs a graph of its own. */
const LENGTHS = 16;
/** Matrix products run no faster on shorter pieces. */
const LEAST_STEP = 16;

/** The length that a piece of this many tokens is padded to: a multiple of a sixteenth of the longest, or of 16. */
export function paddedPieceLength(tokens: number, longest: number): number {
  const step = Math.max(LEAST_STEP, Math.ceil(longest / LENGTHS));
  return Math.min(longest, Math.ceil(tokens / step) * step);
}

/**
 * Batches of one length each, in ascending order of length. Pieces of the longest length (most pieces, where long
 * documents are cut) have batches of their own: without padding there is no mask to apply. Pieces without tokens are in
 * no batch.
 *
 * @param tokens of each piece.
 */
export function planPieceBatches(tokens: readonly number[], { longest, batchTokens }: PieceLimits): PieceBatchPlan[] {
  const byLength = new Map<number, number[]>();
  const whole: number[] = [];
  for (const [piece, count] of tokens.entries()) {
    if (count === 0) continue;
    const length = paddedPieceLength(count, longest);
    const pieces = count === longest ? whole : byLength.get(length);
    if (pieces) pieces.push(piece);
    else byLength.set(length, [piece]);
  }
  const batches: PieceBatchPlan[] = [];
  const cut = (length: number, pieces: readonly number[], full: boolean) => {
    const capacity = Math.max(1, Math.round(batchTokens / length));
    for (let first = 0; first < pieces.length; first += capacity)
      batches.push({ length, capacity, full, pieces: pieces.slice(first, first + capacity) });
  };
  for (const [length, pieces] of [...byLength].sort(([a], [b]) => a - b)) cut(length, pieces, false);
  cut(longest, whole, true);
  return batches;
}
