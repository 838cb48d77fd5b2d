import { CounterRandom } from '../../core/random/philox.ts';
import type { DocumentBatch } from '../../core/tokenizer/encoder-input.ts';
import type { BertShape } from '../../engine/bert/bert.ts';
import type { GptNeoxShape } from '../../engine/decoder/gpt-neox.ts';
import type { TokenBatch } from '../../engine/decoder/language-model.ts';
import type { LlamaShape } from '../../engine/decoder/llama.ts';
import { ParameterSet, type ParameterSpec } from '../../engine/parameters.ts';

/** A head of 8 channels, of which 4 are rotated, and a head count that does not equal the batch. */
export const TINY_GPT: GptNeoxShape = {
  layers: 2,
  width: 24,
  heads: 3,
  rotaryFraction: 0.5,
  rotaryBase: 10_000,
  layerNormEpsilon: 1e-5,
  initializerStd: 0.02,
  vocabularySize: 40,
};

/** Everything that GPT-NeoX models of others have and Pythia has not. */
export const OTHER_GPT = {
  mlpWidth: 40,
  activation: 'gelu-tanh',
  attentionBias: false,
  tiedEmbeddings: true,
  parallelResidual: false,
} satisfies Partial<GptNeoxShape>;

/** Two query heads share a key and a value. */
export const TINY_LLAMA: LlamaShape = {
  architecture: 'llama',
  layers: 2,
  width: 32,
  heads: 4,
  keyValueHeads: 2,
  mlpWidth: 40,
  rotaryBase: 10_000,
  layerNormEpsilon: 1e-5,
  initializerStd: 0.02,
  vocabularySize: 40,
};

/** What others have; of the four waves of its heads, the first is left, the second stretched in part, the others by 4. */
export const OTHER_LLAMA = {
  keyValueHeads: 1,
  attentionBias: 'qkv',
  tiedEmbeddings: true,
  rotaryScaling: { factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 64 },
} satisfies Partial<LlamaShape>;

/** Qwen3: heads are wider than their share of the width, and queries and keys have norms. */
export const QUERY_KEY_NORM = { headWidth: 12, queryKeyNorm: true } satisfies Partial<LlamaShape>;

export const TINY_BERT: BertShape = {
  layers: 2,
  width: 16,
  heads: 2,
  intermediateWidth: 24,
  vocabularySize: 30,
  maxPositions: 9,
  typeVocabularySize: 2,
  layerNormEpsilon: 1e-12,
  initializerStd: 0.02,
};

/** Parameters large enough for every path to matter: N(0, 0.3), LayerNorm scales around 1. */
export function randomParameters(specs: readonly ParameterSpec[], seed = 1): ParameterSet {
  const random = new CounterRandom(seed, 99);
  const parameters = new ParameterSet(specs);
  let index = 0;
  for (const { name, init } of specs) {
    const values = parameters.view(name);
    for (let i = 0; i < values.length; i++) values[i] = (init === 'ones' ? 1 : 0) + 0.3 * random.normal(index++);
  }
  return parameters;
}

export function randomTokens(count: number, vocabularySize: number, seed = 2): Int32Array {
  const random = new CounterRandom(seed, 98);
  return Int32Array.from({ length: count }, (_, i) => random.below(i, vocabularySize));
}

export function uniforms(count: number, seed = 3): Float32Array {
  const random = new CounterRandom(seed, 97);
  return Float32Array.from({ length: count }, (_, i) => random.uniform(i));
}

export function tokenBatch(batch: number, length: number, vocabularySize: number, seed = 2): TokenBatch {
  return {
    batch,
    length,
    tokens: randomTokens(batch * length, vocabularySize, seed),
    weights: uniforms(batch * (length - 1), seed),
  };
}

/** Documents of two chunks: the first is full, the second's last chunk is all padding, the third's are cut short. */
export function documentBatch(length: number, vocabularySize: number): DocumentBatch {
  const [documents, chunks] = [3, 2];
  const mask = new Float32Array(documents * chunks * length).fill(1);
  mask.fill(0, 3 * length, 4 * length);
  mask.fill(0, 4 * length + 3, 5 * length);
  mask.fill(0, 5 * length + 1);
  return { documents, chunks, length, tokens: randomTokens(mask.length, vocabularySize), mask };
}

/**
 * The largest difference of each named parameter, relative to the largest value of the expected. A key's bias is compared
 * on the scale of the key's weight: its derivative is 0, as softmax ignores what is added to all scores of a row, and
 * what is computed is rounding alone.
 */
export function relativeDifferences(actual: ParameterSet, expected: ParameterSet): Record<string, number> {
  return Object.fromEntries(
    expected.specs.map(({ name }) => {
      const [a, b] = [actual.view(name), expected.view(name)];
      const scaledBy = expected.view(name.replace('key.bias', 'key.weight'));
      const scale = scaledBy.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      return [name, a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0) / (scale || 1)];
    }),
  );
}
