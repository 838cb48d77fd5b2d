/**
 * Floating-point operations of a run, as the field counts them: two for each multiply-add of a matrix product, nothing
 * for the rest; the backward pass counts twice the forward. With these the 410M model's 50,000 steps cost 6.35e19, the
 * published figure (arXiv 2406.06046, table 1).
 */

/** Shape of a decoder, as far as its cost goes. */
export interface DecoderCost {
  /** @default 'gpt-neox' */
  architecture?: 'gpt-neox' | 'llama';
  layers: number;
  width: number;
  heads: number;
  /** @default heads */
  keyValueHeads?: number | undefined;
  /** @default width / heads */
  headWidth?: number | undefined;
  /** @default 4 * width */
  mlpWidth?: number | undefined;
  vocabularySize: number;
}

/** The widths of all queries of a token, of all its keys and of all its values. */
const headWidths = ({ width, heads, keyValueHeads = heads, headWidth = width / heads }: DecoderCost) => ({
  queries: headWidth * heads,
  keys: headWidth * keyValueHeads,
});

/** The weights of a layer's matrices; a gated MLP has three. */
const layerWeights = (shape: DecoderCost) => {
  const { architecture, width, mlpWidth = 4 * width } = shape;
  const { queries, keys } = headWidths(shape);
  return 2 * width * (queries + keys) + (architecture === 'llama' ? 3 : 2) * width * mlpWidth;
};

/** Forward pass of one token in a context of `length`: linear layers, attention scores and values, output head. */
export function decoderForwardFlops(shape: DecoderCost, length: number): number {
  const { layers, width, vocabularySize } = shape;
  return 2 * (layers * layerWeights(shape) + width * vocabularySize) + 4 * layers * length * headWidths(shape).queries;
}

/**
 * Forward pass of a passage of `length` tokens, up to the loss of `targets` of them. The output head is needed for
 * these alone; if they are just last words, that saves most of the arithmetic of a small model.
 */
export function passageForwardFlops(shape: DecoderCost, length: number, targets: number): number {
  const { width, vocabularySize } = shape;
  return length * decoderForwardFlops(shape, length) - 2 * width * vocabularySize * (length - targets);
}

/** Like {@link decoderForwardFlops}, for an encoder without an output head. */
export function encoderForwardFlops(layers: number, width: number, length: number): number {
  return 24 * layers * width ** 2 + 4 * layers * length * width;
}

/** What a model's parameters depend on beside that; the defaults are those of `model` in the configuration. */
export interface DecoderParts extends DecoderCost {
  attentionBias?: boolean | 'qkv';
  queryKeyNorm?: boolean | undefined;
  tiedEmbeddings?: boolean;
}

export function decoderParameters(shape: DecoderParts): number {
  const { architecture, layers, width, mlpWidth = 4 * width, vocabularySize, tiedEmbeddings = false } = shape;
  const llama = architecture === 'llama';
  const { attentionBias = !llama, queryKeyNorm = false } = shape;
  const { queries, keys } = headWidths(shape);
  const attentionBiases = attentionBias ? queries + 2 * keys + (attentionBias === true ? width : 0) : 0;
  const biases = attentionBiases + (llama ? 0 : mlpWidth + width);
  const norm = llama ? width : 2 * width;
  const headNorms = queryKeyNorm ? (2 * queries) / shape.heads : 0;
  const ends = (tiedEmbeddings ? 1 : 2) * vocabularySize * width;
  return layers * (layerWeights(shape) + biases + 2 * norm + headNorms) + norm + ends;
}

/** Lookahead's two copies, by what they did or would do. */
export interface LookaheadWork {
  /** Steps of the copy that learns the reference set: those of the best guard loss, and all that were tried. */
  steps: number;
  tried: number;
  /** Rows, or passages, in a step. */
  batchRows: number;
  /** Passages kept aside that were read, counted anew each time. */
  guardReads: number;
}

/**
 * Lookahead's copies: one takes `tried` steps on passages, the other `steps` on rows, forward and backward, and the loss
 * of the passages kept aside is measured in between.
 *
 * @param forward of one passage, of one row, and of one passage kept aside to its loss.
 */
export function lookaheadFlops(
  { steps, tried, batchRows, guardReads }: LookaheadWork,
  forward: Record<'passage' | 'row' | 'guard', number>,
): number {
  return 3 * batchRows * (tried * forward.passage + steps * forward.row) + guardReads * forward.guard;
}

/**
 * The directional probe's gradient over all passages, and the check of its first order on some rows: two forward passes
 * each, and a gradient.
 *
 * @param forward of all passages, and of all checked rows.
 */
export function directionalFlops(forward: Record<'passages' | 'checked', number>): number {
  return 3 * forward.passages + 5 * forward.checked;
}
