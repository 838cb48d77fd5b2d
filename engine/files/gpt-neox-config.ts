/** `GPTNeoXConfig`, and how the tensors of such a model are named in files. */
import type { GptNeoxShape } from '../decoder/gpt-neox.ts';
import type { Activation } from '../ops.ts';
import { MOST, type ModelConfig } from './hugging-face.ts';
import { rotaryConfig } from './rotary-config.ts';

export const GPT_NEOX_TYPE = 'gpt_neox';

/** The shape that a config.json describes. */
export function readGptNeoxConfig(config: ModelConfig): GptNeoxShape {
  const rotary = rotaryConfig(config, []);
  const width = config.count('hidden_size', MOST.width);
  const heads = config.heads(width);
  const rotaryFraction = rotary.fraction ?? config.number('rotary_pct', 0.25);
  const rotated = Math.floor((width / heads) * rotaryFraction);
  if (!(rotaryFraction <= 1 && rotated >= 2 && rotated % 2 === 0))
    throw config.refusal(
      rotary.fraction === undefined ? 'rotary_pct' : 'rope_parameters.partial_rotary_factor',
      rotaryFraction,
      `a share up to 1 was expected, of the ${width / heads} dimensions of a head an even number, at least 2`,
      'Use another model',
    );
  return {
    architecture: 'gpt-neox',
    layers: config.count('num_hidden_layers', MOST.layers),
    width,
    heads,
    mlpWidth: config.count('intermediate_size', 4 * MOST.width, 4 * width),
    activation: config.choice('hidden_act', ACTIVATIONS, 'gelu'),
    attentionBias: config.boolean('attention_bias', true),
    tiedEmbeddings: config.boolean('tie_word_embeddings', false),
    rotaryFraction,
    rotaryBase: rotary.base ?? config.positive('rotary_emb_base', 10_000),
    layerNormEpsilon: config.positive('layer_norm_eps', 1e-5),
    initializerStd: config.number('initializer_range', 0.02),
    vocabularySize: config.count('vocab_size', MOST.vocabulary),
    parallelResidual: config.boolean('use_parallel_residual', true),
  };
}

/** Transformers' names of the activations: two for the exact one and three for its approximation by tanh; the first of each is written. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_new: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
};

export function gptNeoxConfig(shape: GptNeoxShape): Record<string, unknown> {
  return {
    architectures: ['GPTNeoXForCausalLM'],
    attention_bias: shape.attentionBias ?? true,
    hidden_act: shape.activation === 'gelu-tanh' ? 'gelu_pytorch_tanh' : 'gelu',
    intermediate_size: shape.mlpWidth ?? 4 * shape.width,
    layer_norm_eps: shape.layerNormEpsilon,
    model_type: GPT_NEOX_TYPE,
    rotary_emb_base: shape.rotaryBase,
    rotary_pct: shape.rotaryFraction,
    use_parallel_residual: shape.parallelResidual ?? true,
  };
}

/** The causal mask and rotary frequencies that older versions of Transformers stored among the weights. */
export const isGptNeoxBuffer = (name: string) => /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/.test(name);
