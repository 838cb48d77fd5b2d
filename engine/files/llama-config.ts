/** `LlamaConfig` and those of the models that are Llama's but for their defaults or biases. */
import type { LlamaShape } from '../decoder/llama.ts';
import { MOST, type ModelConfig } from './hugging-face.ts';
import { rotaryConfig } from './rotary-config.ts';

/**
 * What a missing field means, by `model_type`: the defaults of Transformers' LlamaConfig, MistralConfig, Qwen2Config and
 * Qwen3Config.
 */
const DEFAULTS: Readonly<Record<string, { keyValueHeads?: number; headWidth?: number; positions: number }>> = {
  llama: { positions: 2048 },
  mistral: { keyValueHeads: 8, positions: 131_072 },
  qwen2: { keyValueHeads: 32, positions: 32_768 },
  qwen3: { keyValueHeads: 32, headWidth: 128, positions: 32_768 },
};

export const LLAMA_TYPES = Object.keys(DEFAULTS);

/** The shape that a config.json describes. */
export function readLlamaConfig(config: ModelConfig): LlamaShape {
  const { modelType } = config;
  const defaults = DEFAULTS[modelType]!;
  config.require('hidden_act', 'silu', 'silu');
  config.require('mlp_bias', false, false);
  const rotary = rotaryConfig(config, ['llama3']);
  const width = config.count('hidden_size', MOST.width);
  const heads = config.count('num_attention_heads', MOST.width);
  const headWidth = config.number('head_dim', defaults.headWidth ?? width / heads);
  if (!Number.isInteger(headWidth / 2) || headWidth <= 0 || headWidth > MOST.width)
    throw headWidth === width / heads
      ? config.refusal(
          'num_attention_heads',
          heads,
          `heads of an even number of dimensions were expected, not of ${headWidth}`,
        )
      : config.refusal('head_dim', headWidth, 'an even number above 0 was expected');
  // Where null stands, it is as many, whatever a missing field means.
  const keyValueHeads = config.countOrNone('num_key_value_heads', heads, defaults.keyValueHeads ?? heads) ?? heads;
  if (heads % keyValueHeads !== 0)
    throw config.refusal(
      'num_key_value_heads',
      keyValueHeads,
      `a divisor of num_attention_heads (${heads}) was expected`,
    );
  if (rotary.fraction !== undefined && rotary.fraction !== 1)
    throw config.refusal(
      'rope_parameters.partial_rotary_factor',
      rotary.fraction,
      'only 1 is supported',
      'Use another model',
    );
  return {
    architecture: 'llama',
    layers: config.count('num_hidden_layers', MOST.layers),
    width,
    heads,
    keyValueHeads,
    ...(headWidth !== width / heads && { headWidth }),
    mlpWidth: config.count('intermediate_size', 4 * MOST.width),
    attentionBias: modelType === 'qwen2' ? 'qkv' : config.boolean('attention_bias', false),
    ...(modelType === 'qwen3' && { queryKeyNorm: true }),
    tiedEmbeddings: config.boolean('tie_word_embeddings', false),
    rotaryBase: rotary.base ?? config.positive('rope_theta', 10_000),
    ...(rotary.scaling && { rotaryScaling: rotary.scaling }),
    layerNormEpsilon: config.positive('rms_norm_eps', 1e-6),
    initializerStd: config.number('initializer_range', 0.02),
    vocabularySize: config.count('vocab_size', MOST.vocabulary),
  };
}

/** The longest row in tokens; within it, attention reaches every earlier token. */
export function llamaContextLength(config: ModelConfig): number {
  const { modelType } = config;
  const positions = config.count('max_position_embeddings', MOST.positions, DEFAULTS[modelType]!.positions);
  if (modelType.startsWith('qwen')) {
    config.require('use_sliding_window', false, false);
    config.requireEach('layer_types', 'full_attention');
  }
  const window = modelType === 'mistral' ? config.countOrNone('sliding_window', MOST.positions, 4096) : undefined;
  return Math.min(positions, window ?? positions);
}

export function llamaConfig(shape: LlamaShape): Record<string, unknown> {
  const { width, heads, headWidth = width / heads, attentionBias = false, rotaryScaling: scaling } = shape;
  return {
    ...namesOf(shape),
    ...(attentionBias !== 'qkv' && { attention_bias: attentionBias }),
    head_dim: headWidth,
    hidden_act: 'silu',
    intermediate_size: shape.mlpWidth ?? 4 * shape.width,
    num_key_value_heads: shape.keyValueHeads ?? heads,
    rms_norm_eps: shape.layerNormEpsilon,
    ...(scaling && {
      rope_scaling: {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalLength,
      },
    }),
    rope_theta: shape.rotaryBase,
  };
}

/** Which of the architectures that are Llama's but for a little it is. */
function namesOf({ attentionBias, queryKeyNorm }: LlamaShape): Record<string, unknown> {
  if (queryKeyNorm) return { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' };
  if (attentionBias === 'qkv') return { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
  return { architectures: ['LlamaForCausalLM'], mlp_bias: false, model_type: 'llama' };
}

/** The rotary frequencies that older versions of Transformers stored among the weights. */
export const isLlamaBuffer = (name: string) => name.endsWith('.self_attn.rotary_emb.inv_freq');
