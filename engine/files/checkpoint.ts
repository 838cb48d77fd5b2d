/**
 * Checkpoints of the language model: a Hugging Face directory that `transformers` loads as it is, plus the optimizer's
 * moments and `training.json`, which is written last and so marks the checkpoint as whole.
 */
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../core/errors.ts';
import { sha256 as sha256Of } from '../../core/hash.ts';
import { TRAINING_FILE } from '../../core/layout.ts';
import { isObject } from '../../core/objects.ts';
import {
  type Content,
  getJson,
  getRecordIfPresent,
  hashObject,
  NotFoundError,
  putFile,
  putJson,
  type Store,
} from '../../core/storage/index.ts';
import { AdamW, type AdamWOptions } from '../adamw.ts';
import { decoderSpecs, endsOf } from '../decoder/decoder.ts';
import { ParameterSet } from '../parameters.ts';
import { type DescribedModel, readDescription } from './described-model.ts';
import { gptNeoxConfig, isGptNeoxBuffer } from './gpt-neox-config.ts';
import {
  CONFIG_FILE,
  encodeParameters,
  type FileCheck,
  keyOf,
  loadWeights,
  uriOf,
  WEIGHTS_FILE,
} from './hugging-face.ts';
import { isLlamaBuffer, llamaConfig } from './llama-config.ts';
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
export interface Model extends Pick<DescribedModel, 'shape' | 'contextLength'> {
  parameters: ParameterSet;
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
  requireWhole(record, marker);
  const intact = (file: string, sha256: string) => requireIntact(store, prefix, file, sha256, record);
  intact(CONFIG_FILE, sha256Of(await present(() => store.get(keyOf(prefix, CONFIG_FILE)))));
  const model = await loadModel(store, prefix, intact);
  const { flat } = model.parameters;
  const [m, v] = await loadMoments(store, prefix, model.parameters, (sha256) => intact(OPTIMIZER_FILE, sha256));
  const { step } = record.optimizer;
  const optimizer = new AdamW(flat.length, record.optimizer, { m: m.flat, v: v.flat, step });
  return { ...model, optimizer, state: record.state };
}

/** Refuses a record, which a trainer of the user's own may have written, without what later steps compute with. */
function requireWhole(record: TrainingRecord, marker: string): void {
  const numbers = {
    state: ['step', 'tokens'],
    optimizer: ['beta1', 'beta2', 'epsilon', 'weightDecay', 'step'],
  } as const;
  for (const [group, names] of Object.entries(numbers)) {
    const found: unknown = record[group as keyof typeof numbers];
    const missing = names.find((name) => !isObject(found) || !Number.isFinite(found[name]));
    if (missing) throw new InputError(`${marker}: ${group}.${missing} is missing or not a number. ${REMEDY}`);
  }
  if (!isObject(record.sha256)) throw new InputError(`${marker} has no sha256 of the checkpoint's files. ${REMEDY}`);
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
 * Reads the weights of a GPT-NeoX or Llama model in a Hugging Face directory, ours or a downloaded one (Pythia, SmolLM),
 * in one file or sharded, in any floating-point type.
 *
 * @param check called with the hash of each weight file once it has been read.
 * @throws InputError for another architecture or variant, and for missing, unknown or misshapen tensors.
 */
export async function loadModel(store: Store, prefix: string, check?: FileCheck): Promise<Model> {
  const { shape, contextLength, config } = await readDescription(store, prefix);
  config.refuse('quantization_config', 'quantised weights cannot be read; save the model dequantised');
  const parameters = new ParameterSet(decoderSpecs(shape));
  const ends = endsOf(shape);
  // A tied head is not always left out of the files. Transformers 5 does not tie one that differs; earlier versions do.
  let head: Tensor | undefined;
  await loadWeights(store, prefix, parameters, {
    rename: (name) => (name === HEAD_IN_MEMORY ? ends.head : name),
    ignore: shape.architecture === 'llama' ? isLlamaBuffer : isGptNeoxBuffer,
    aside: (name) => {
      if (!shape.tiedEmbeddings || name !== ends.head) return undefined;
      const { vocabularySize, width } = shape;
      head ??= { shape: [vocabularySize, width], data: new Float32Array(vocabularySize * width) };
      return head;
    },
    check,
  });
  if (head && !isDeepStrictEqual(head.data, parameters.view(ends.embedding)))
    throw config.refusal(
      'tie_word_embeddings',
      true,
      `but ${ends.head} is not ${ends.embedding}`,
      'Set it to false, or leave the head out of the file, whichever the model was trained with',
    );
  return { shape, parameters, contextLength };
}

/** What Transformers 5 calls the head of a model in memory, and so in a file of its `state_dict()`. */
const HEAD_IN_MEMORY = 'lm_head.weight';

/** The config.json of a model. */
function huggingFaceConfig({ shape, contextLength, endOfText }: ModelParts): Record<string, unknown> {
  const fields = {
    bos_token_id: endOfText,
    eos_token_id: endOfText,
    hidden_size: shape.width,
    initializer_range: shape.initializerStd,
    max_position_embeddings: contextLength,
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    tie_word_embeddings: shape.tiedEmbeddings ?? false,
    torch_dtype: 'float32',
    vocab_size: shape.vocabularySize,
    ...(shape.architecture === 'llama' ? llamaConfig(shape) : gptNeoxConfig(shape)),
  };
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
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

/** @throws InputError naming the first of these files of a checkpoint that is not as it was written. */
export async function requireIntactFiles(store: Store, prefix: string, files: readonly string[]): Promise<void> {
  const record = await getJson<TrainingRecord>(store, keyOf(prefix, TRAINING_FILE));
  for (const file of files) {
    const { sha256: found } = await present(() => hashObject(store, keyOf(prefix, file)));
    requireIntact(store, prefix, file, found, record);
  }
}

/** Compares a file's hash with the one that was taken when it was written. */
function requireIntact(store: Store, prefix: string, file: string, found: string, { sha256 }: TrainingRecord): void {
  if (found === sha256[file]) return;
  throw new InputError(
    `${uriOf(store, prefix, file)} is damaged: its SHA-256 is ${found}, ${TRAINING_FILE} has ${sha256[file]}. ${REMEDY}`,
  );
}
