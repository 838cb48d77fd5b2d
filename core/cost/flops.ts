/**
 * Floating-point operations of a run, as the field counts them: two for each multiply-add of a matrix product, nothing
 * for the rest; the backward pass counts twice the forward. With these the 410M model's 50,000 steps cost 6.35e19, the
 * published figure (arXiv 2406.06046, table 1).
 */

/** Shape of a decoder, as far as its cost goes. */
export interface DecoderCost {
  layers: number;
  width: number;
  vocabularySize: number;
}

/** Forward pass of one token in a context of `length`: linear layers, attention scores and values, output head. */
export function decoderForwardFlops({ layers, width, vocabularySize }: DecoderCost, length: number): number {
  return 2 * (12 * layers * width ** 2 + width * vocabularySize) + 4 * layers * length * width;
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

/** Parameters of a GPT-NeoX model with biases and an untied head. */
export function gptNeoxParameters({ layers, width, vocabularySize }: DecoderCost): number {
  return layers * (12 * width ** 2 + 13 * width) + 2 * vocabularySize * width + 2 * width;
}
