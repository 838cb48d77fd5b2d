/** What a Hugging Face directory's config.json says of its language model. */
import type { Store } from '../../core/storage/index.ts';
import type { DecoderShape } from '../decoder/decoder.ts';
import { GPT_NEOX_TYPE, readGptNeoxConfig } from './gpt-neox-config.ts';
import { MOST, type ModelConfig, readModelConfig } from './hugging-face.ts';
import { LLAMA_TYPES, llamaContextLength, readLlamaConfig } from './llama-config.ts';

export interface DescribedModel {
  shape: DecoderShape;
  /** The longest row that the model was made for, in tokens. */
  contextLength: number;
  config: ModelConfig;
}

/**
 * What a shape says of a model that has its weights, or leaves to its defaults, the architecture first. How they were
 * drawn once does not count.
 */
export function comparable({ initializerStd: _, ...shape }: DecoderShape): Record<string, unknown> {
  const { width, heads } = shape;
  const llama = { keyValueHeads: heads, headWidth: width / heads, queryKeyNorm: false, rotaryScaling: undefined };
  const defaults = { mlpWidth: 4 * width, ...(shape.architecture === 'llama' && llama) };
  return { architecture: 'gpt-neox', ...defaults, ...shape };
}

/** @throws InputError for another architecture or variant, and when there is no config.json. */
export async function readDescription(store: Store, prefix: string): Promise<DescribedModel> {
  const config = await readModelConfig(store, prefix, [GPT_NEOX_TYPE, ...LLAMA_TYPES]);
  if (config.modelType !== GPT_NEOX_TYPE)
    return { shape: readLlamaConfig(config), contextLength: llamaContextLength(config), config };
  const contextLength = config.count('max_position_embeddings', MOST.positions, 2048);
  return { shape: readGptNeoxConfig(config), contextLength, config };
}
