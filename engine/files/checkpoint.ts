/**
 * Checkpoints of the language model: a Hugging Face directory that `transformers` loads as it is, plus the optimizer's
 * moments and `training.json`, which is written last and so marks the checkpoint as whole.
 */
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../core/errors.ts';
import { sha256 as sha256Of } from '../../core/hash.ts';
import { TRAINING_FILE } from '../../core/layout.ts';
import {
  type Content,
  getRecordIfPresent,
  NotFoundError,
  putFile,
  putJson,
  type Store,
} from '../../core/storage/index.ts';
import { AdamW, type AdamWOptions } from '../adamw.ts';
import { EMBEDDING, type GptNeoxShape, gptNeoxSpecs, HEAD } from '../gpt-neox/gpt-neox.ts';
import type { Activation } from '../ops.ts';
import { ParameterSet } from '../parameters.ts';
import {
  CONFIG_FILE,
  encodeParameters,
  type FileCheck,
  keyOf,
  loadWeights,
  MOST,
  readModelConfig,
  uriOf,
  WEIGHTS_FILE,
} from './hugging-face.ts';
import { readSafetensors, type Tensor } from './safetensors.ts';

const OPTIMIZER_FILE = 'optimizer.safetensors';

/** How far training has got. */
export interface TrainingState {
  /** Optimizer steps done, over all stages. */
  step: number;
  /** Tokens trained on, over all stages. */
  tokens: number;
  /** Anything else the trainer needs to resume, as JSON: its position in the selection, its loss curve. */
  [more: string]: unknown;
}

/** A model as it is loaded for scoring or evaluation. */
export interface Model {
  shape: GptNeoxShape;
  parameters: ParameterSet;
  /** The longest row that the model was made for, in tokens. */
  contextLength: number;
}

/** Everything that training needs to go on as if it had never stopped. */
export interface Checkpoint extends Model {
  optimizer: AdamW;
  state: TrainingState;
}

/** The input of {@link saveCheckpoint}. */
export interface CheckpointParts extends ModelParts, Pick<Checkpoint, 'optimizer' | 'state'> {}

/** The input of {@link saveModel}. */
export interface ModelParts extends Pick<Model, 'shape' | 'parameters'> {
  /** Tokens in a row. */
  contextLength: number;
  /** Id of the token that ends a document. */
  endOfText: number;
}

/** `training.json`. */
interface TrainingRecord {
  format: 'mates-checkpoint/1';
  state: TrainingState;
  optimizer: AdamWOptions & { step: number };
  /** SHA-256 of each of the checkpoint's other files. */
  sha256: Record<string, string>;
}

/**
 * Writes a checkpoint under a key prefix. If it is killed at any point, it leaves either the whole checkpoint or one
 * without `training.json`, which does not count as a checkpoint.
 */
export async function saveCheckpoint(store: Store, prefix: string, parts: CheckpointParts): Promise<void> {
  const { parameters, optimizer, state } = parts;
  await store.delete(keyOf(prefix, TRAINING_FILE)); // first invalidates an older checkpoint in this place
  const moments = { 'exp_avg.': optimizer.m, 'exp_avg_sq.': optimizer.v };
  const sha256: Record<string, string> = {};
  const write = async (file: string, content: Content & { bytes?: number }) => {
    sha256[file] = (await putFile(store, keyOf(prefix, file), content, content.bytes)).sha256;
  };
  await write(CONFIG_FILE, `${JSON.stringify(huggingFaceConfig(parts), null, 2)}\n`);
  await write(WEIGHTS_FILE, encodeParameters(parameters));
  await write(OPTIMIZER_FILE, encodeParameters(parameters, moments));
  const record: TrainingRecord = {
    format: 'mates-checkpoint/1',
    state,
    optimizer: { ...optimizer.options, step: optimizer.step },
    sha256,
  };
  await putJson(store, keyOf(prefix, TRAINING_FILE), record);
}

/**
 * Writes only the model, without the state that training needs: config.json and model.safetensors.
 *
 * @returns the SHA-256 of the weights, for a caller that writes a record of the model last.
 */
export async function saveModel(store: Store, prefix: string, parts: ModelParts): Promise<string> {
  await putJson(store, keyOf(prefix, CONFIG_FILE), huggingFaceConfig(parts));
  const weights = encodeParameters(parts.parameters);
  return (await putFile(store, keyOf(prefix, WEIGHTS_FILE), weights, weights.bytes)).sha256;
}

/** Whether a whole checkpoint is there. */
export async function hasCheckpoint(store: Store, prefix: string): Promise<boolean> {
  return (await store.size(keyOf(prefix, TRAINING_FILE))) !== undefined;
}

/**
 * Reads a checkpoint that {@link saveCheckpoint} wrote.
 *
 * @throws InputError naming the file, when there is no checkpoint or a file is not as it was written.
 */
export async function loadCheckpoint(store: Store, prefix: string): Promise<Checkpoint> {
  const marker = uriOf(store, prefix, TRAINING_FILE);
  const record = await getRecordIfPresent<TrainingRecord>(store, keyOf(prefix, TRAINING_FILE), 'mates-checkpoint/1');
  if (record === undefined)
    throw new InputError(`${marker} does not exist: there is no whole checkpoint in this place.`);
  const intact = (file: string, sha256: string) => requireIntact(store, prefix, file, sha256, record);
  intact(CONFIG_FILE, sha256Of(await present(() => store.get(keyOf(prefix, CONFIG_FILE)))));
  const model = await loadModel(store, prefix, intact);
  const { flat } = model.parameters;
  const [m, v] = await loadMoments(store, prefix, model.parameters, (sha256) => intact(OPTIMIZER_FILE, sha256));
  const { step } = record.optimizer;
  const optimizer = new AdamW(flat.length, record.optimizer, { m: m.flat, v: v.flat, step });
  return { ...model, optimizer, state: record.state };
}

/** AdamW's mean and mean square of the gradient, each in the layout of the parameters. */
async function loadMoments(
  store: Store,
  prefix: string,
  parameters: ParameterSet,
  verify: (sha256: string) => void,
): Promise<[m: ParameterSet, v: ParameterSet]> {
  const [m, v] = [parameters.sibling(), parameters.sibling()];
  const missing = new Map<string, Tensor>();
  for (const { name, shape } of parameters.specs) {
    missing.set(`exp_avg.${name}`, { shape, data: m.view(name) });
    missing.set(`exp_avg_sq.${name}`, { shape, data: v.view(name) });
  }
  const place = (name: string) => {
    const tensor = missing.get(name);
    missing.delete(name);
    return tensor;
  };
  await present(() => readSafetensors(store, keyOf(prefix, OPTIMIZER_FILE), place, verify));
  const [first] = missing.keys();
  if (first !== undefined)
    throw new InputError(`${uriOf(store, prefix, OPTIMIZER_FILE)} has no tensor ${first}. ${REMEDY}`);
  return [m, v];
}

/**
 * Reads the weights of any GPT-NeoX model in a Hugging Face directory, ours or a downloaded one (Pythia), in one file
 * or sharded, in any floating-point type.
 *
 * @param check called with the hash of each weight file once it has been read.
 * @throws InputError for another architecture or variant, and for missing, unknown or misshapen tensors.
 */
export async function loadModel(store: Store, prefix: string, check?: FileCheck): Promise<Model> {
  const config = await readModelConfig(store, prefix, 'gpt_neox');
  config.refuse('quantization_config', 'quantised weights cannot be read; save the model dequantised');
  // Transformers 5 writes one object, `rope_parameters`; earlier versions write two fields, and call the object
  // rope_scaling.
  const [scaling, written] = [config.object('rope_scaling'), config.object('rope_parameters')];
  if (Object.keys(scaling).length > 0 && Object.keys(written).length > 0 && !isDeepStrictEqual(scaling, written))
    config.refuse('rope_scaling', 'rope_parameters says something else; remove one of the two');
  const rope = { ...scaling, ...written };
  const kind = rope.rope_type ?? rope.type ?? 'default';
  if (kind !== 'default')
    throw config.refusal(
      'rope_type',
      kind,
      'only "default" is supported: rotary positions cannot be scaled',
      'Use another model',
    );
  const number = (value: unknown, field: string) => {
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number') return value;
    throw config.refusal(field, value, 'a number was expected');
  };
  const partial = number(rope.partial_rotary_factor, 'partial_rotary_factor');
  const width = config.count('hidden_size', MOST.width);
  const heads = config.heads(width);
  const rotaryFraction = partial ?? config.number('rotary_pct', 0.25);
  const rotated = Math.floor((width / heads) * rotaryFraction);
  if (!(rotaryFraction <= 1 && rotated >= 2 && rotated % 2 === 0))
    throw config.refusal(
      partial === undefined ? 'rotary_pct' : 'partial_rotary_factor',
      rotaryFraction,
      `a share up to 1 was expected, of the ${width / heads} dimensions of a head an even number, at least 2`,
      'Use another model',
    );
  const headWidth = config.number('head_dim', width / heads);
  if (headWidth !== width / heads)
    throw config.refusal(
      'head_dim',
      headWidth,
      `only hidden_size / num_attention_heads, ${width / heads}, is supported`,
      'Use another model',
    );
  const shape: GptNeoxShape = {
    layers: config.count('num_hidden_layers', MOST.layers),
    width,
    heads,
    mlpWidth: config.count('intermediate_size', 4 * MOST.width, 4 * width),
    activation: config.choice('hidden_act', ACTIVATIONS, 'gelu'),
    attentionBias: config.boolean('attention_bias', true),
    tiedEmbeddings: config.boolean('tie_word_embeddings', false),
    rotaryFraction,
    rotaryBase: number(rope.rope_theta, 'rope_theta') ?? config.number('rotary_emb_base', 10_000),
    layerNormEpsilon: config.number('layer_norm_eps', 1e-5),
    initializerStd: config.number('initializer_range', 0.02),
    vocabularySize: config.count('vocab_size', MOST.vocabulary),
    parallelResidual: config.boolean('use_parallel_residual', true),
  };
  const contextLength = config.count('max_position_embeddings', MOST.positions, 2048);
  const parameters = new ParameterSet(gptNeoxSpecs(shape));
  // A tied head is not always left out of the files. Transformers 5 does not tie one that differs; earlier versions do.
  let head: Tensor | undefined;
  await loadWeights(store, prefix, parameters, {
    rename: (name) => (name === HEAD_IN_MEMORY ? HEAD : name),
    ignore: isBuffer,
    aside: (name) => {
      if (!shape.tiedEmbeddings || name !== HEAD) return undefined;
      const { vocabularySize } = shape;
      head ??= { shape: [vocabularySize, width], data: new Float32Array(vocabularySize * width) };
      return head;
    },
    check,
  });
  if (head && !isDeepStrictEqual(head.data, parameters.view(EMBEDDING)))
    throw config.refusal(
      'tie_word_embeddings',
      true,
      `but ${HEAD} is not ${EMBEDDING}`,
      'Set it to false, or leave the head out of the file, whichever the model was trained with',
    );
  return { shape, parameters, contextLength };
}

/** What Transformers 5 calls the head of a model in memory, and so in a file of its `state_dict()`. */
const HEAD_IN_MEMORY = 'lm_head.weight';

/** Transformers' names of the activations; it has three for the approximation by tanh, the first of which is written. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_new: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
};

/** The causal mask and rotary frequencies that older versions of Transformers stored among the weights. */
function isBuffer(name: string): boolean {
  return /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/.test(name);
}

/** The `GPTNeoXConfig` of a model. */
function huggingFaceConfig({ shape, contextLength, endOfText }: ModelParts): Record<string, unknown> {
  return {
    architectures: ['GPTNeoXForCausalLM'],
    attention_bias: shape.attentionBias ?? true,
    bos_token_id: endOfText,
    eos_token_id: endOfText,
    hidden_act: shape.activation === 'gelu-tanh' ? 'gelu_pytorch_tanh' : 'gelu',
    hidden_size: shape.width,
    initializer_range: shape.initializerStd,
    intermediate_size: shape.mlpWidth ?? 4 * shape.width,
    layer_norm_eps: shape.layerNormEpsilon,
    max_position_embeddings: contextLength,
    model_type: 'gpt_neox',
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    rotary_emb_base: shape.rotaryBase,
    rotary_pct: shape.rotaryFraction,
    tie_word_embeddings: shape.tiedEmbeddings ?? false,
    torch_dtype: 'float32',
    use_parallel_residual: shape.parallelResidual ?? true,
    vocab_size: shape.vocabularySize,
  };
}

const REMEDY = 'Delete the checkpoint and run again; it is made anew from the one before it.';

/** @throws InputError when the file to read is missing. */
async function present<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof NotFoundError) throw new InputError(`${error.uri} is missing from the checkpoint. ${REMEDY}`);
    throw error;
  }
}

/** Compares a file's hash with the one that was taken when it was written. */
function requireIntact(store: Store, prefix: string, file: string, found: string, { sha256 }: TrainingRecord): void {
  if (found === sha256[file]) return;
  throw new InputError(
    `${uriOf(store, prefix, file)} is damaged: its SHA-256 is ${found}, ${TRAINING_FILE} has ${sha256[file]}. ${REMEDY}`,
  );
}
