/** The models that are measured, and their random inputs. */

import { CounterRandom } from '../core/random/philox.ts';
import type { BertShape } from '../engine/bert/bert.ts';
import type { DecoderShape } from '../engine/decoder/decoder.ts';

export interface DecoderCase {
  name: string;
  shape: DecoderShape;
  batch: number;
  /** Tokens of a row that are read. As many are predicted, so a row has one token more. */
  length: number;
}

const COMMON = { rotaryFraction: 0.25, rotaryBase: 10_000, layerNormEpsilon: 1e-5, initializerStd: 0.02 };

const decoder = (
  name: string,
  [layers, width, heads, vocabularySize]: [number, number, number, number],
  [batch, length]: [number, number],
): DecoderCase => ({ name, shape: { ...COMMON, layers, width, heads, vocabularySize }, batch, length });

/** The quickstart's model, two sizes in between, and Pythia-70m's. */
export const DECODERS = {
  quickstart: decoder('quickstart', [2, 128, 4, 2048], [8, 128]),
  a: decoder('a', [4, 128, 4, 4096], [8, 128]),
  b: decoder('b', [6, 384, 6, 4096], [8, 256]),
  c: decoder('c (Pythia-70m)', [6, 512, 8, 50_304], [2, 512]),
} as const;

/** A Llama of b's size: gated MLPs of two thirds of the width take as many weights, and keys and values a third. */
export const LLAMA: DecoderCase = {
  ...DECODERS.b,
  name: 'b as a Llama',
  shape: {
    architecture: 'llama',
    ...{ layers: 6, width: 384, heads: 6, keyValueHeads: 2, mlpWidth: 1024, vocabularySize: 4096 },
    ...{ rotaryBase: 10_000, layerNormEpsilon: 1e-5, initializerStd: 0.02 },
  },
};

/** Models of the Pythia suite, with batches that take 14 to 26 GB of device memory to train on in float32. */
export const PYTHIA = {
  '70m': decoder('Pythia-70m', [6, 512, 8, 50_304], [16, 1024]),
  '160m': decoder('Pythia-160m', [12, 768, 12, 50_304], [8, 1024]),
  '410m': decoder('Pythia-410m', [24, 1024, 16, 50_304], [4, 1024]),
} as const;

export function describe({ name, shape, batch, length }: DecoderCase): string {
  return `${name}: L${shape.layers} d${shape.width} S${length} V${shape.vocabularySize} B${batch}`;
}

/**
 * Token ids distributed by the law of Zipf and Mandelbrot, p(rank) ~ 1 / (rank + 2.7), like the words of a text: they
 * contain about as many different ids as the same number of tokens of text does.
 */
export function zipfTokens(count: number, vocabularySize: number, stream = 0): Int32Array {
  const random = new CounterRandom(1, 100, stream);
  const shift = 2.7;
  const span = Math.log((vocabularySize + shift) / (1 + shift));
  return Int32Array.from({ length: count }, (_, i) =>
    Math.min(vocabularySize - 1, Math.floor((1 + shift) * Math.exp(span * random.uniform(i)) - 1 - shift)),
  );
}

/** The shape of all-MiniLM-L6-v2. */
export const MINI_LM: BertShape = {
  layers: 6,
  width: 384,
  heads: 12,
  intermediateWidth: 1536,
  vocabularySize: 30_522,
  maxPositions: 512,
  typeVocabularySize: 2,
  layerNormEpsilon: 1e-12,
  initializerStd: 0.02,
};
