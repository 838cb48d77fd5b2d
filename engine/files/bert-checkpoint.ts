/**
 * Weights of the data influence model: reads any BERT-family Hugging Face directory as a start, and reads and writes
 * the result of a stage's fit (encoder, head, and the mean and standard deviation of the labels).
 */
import { InputError } from '../../core/errors.ts';
import { INFLUENCE_MODEL_FILE } from '../../core/layout.ts';
import { getRecordIfPresent, putFile, putJson, type Store } from '../../core/storage/index.ts';
import { type BertShape, bertSpecs } from '../bert/bert.ts';
import { type InitialSeed, initialParameters, ParameterSet, type ParameterSpec } from '../parameters.ts';
import {
  CONFIG_FILE,
  checkWeights,
  encodeParameters,
  keyOf,
  loadWeights,
  MOST,
  type NameRules,
  readModelConfig,
  uriOf,
  WEIGHTS_FILE,
} from './hugging-face.ts';

/** A fitted influence model: `prediction * std + mean` is the influence in nats. */
export interface SavedInfluenceModel {
  shape: BertShape;
  parameters: ParameterSet;
  /** Mean and standard deviation of the labels it was fitted on. */
  mean: number;
  std: number;
}

/** `influence-model.json`, written last. */
interface InfluenceModelRecord {
  format: 'mates-influence-model/1';
  mean: number;
  std: number;
  /** SHA-256 of model.safetensors. */
  sha256: string;
}

/**
 * The encoder's shape from a directory's `config.json`.
 *
 * @throws InputError when it is not a BERT with absolute positions and exact GELU.
 */
export async function pretrainedBertShape(store: Store, prefix = ''): Promise<BertShape> {
  const config = await readModelConfig(store, prefix, ['bert']);
  config.require('hidden_act', 'gelu', 'gelu');
  config.require('position_embedding_type', 'absolute', 'absolute');
  config.require('is_decoder', false, false);
  const width = config.count('hidden_size', MOST.width);
  return {
    layers: config.count('num_hidden_layers', MOST.layers),
    width,
    heads: config.heads(width),
    intermediateWidth: config.count('intermediate_size', 4 * MOST.width),
    vocabularySize: config.count('vocab_size', MOST.vocabulary),
    maxPositions: config.count('max_position_embeddings', MOST.positions),
    typeVocabularySize: config.count('type_vocab_size', MOST.vocabulary, 2),
    layerNormEpsilon: config.number('layer_norm_eps', 1e-12),
    initializerStd: config.number('initializer_range', 0.02),
  };
}

/**
 * The encoder's weights from a directory, with or without the prefix `bert.`; poolers and heads in it are not used. The
 * regression head is initialized from the seed.
 */
export async function loadPretrainedBert(
  store: Store,
  specs: readonly ParameterSpec[],
  seed: number | InitialSeed,
): Promise<ParameterSet> {
  await checkWeights(store, '', specs, ENCODER_ALONE); // initial values of a mistyped size take minutes and gigabytes
  const parameters = initialParameters(specs, seed);
  await loadWeights(store, '', parameters, ENCODER_ALONE);
  return parameters;
}

const ENCODER_ALONE: NameRules = {
  rename: encoderName,
  ignore: (name) => !/^(embeddings|encoder)\./.test(name) || name === 'embeddings.position_ids',
  optional: isHead,
};

/** Checkpoints converted from TensorFlow (bert-base-uncased) call LayerNorm's weight gamma and its bias beta. */
function encoderName(tensor: string): string {
  return tensor
    .replace(/^bert\./, '')
    .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
    .replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
}

function isHead(name: string): boolean {
  return name.startsWith('regressor.');
}

/** Writes config.json, model.safetensors and, last, influence-model.json. */
export async function saveInfluenceModel(store: Store, prefix: string, model: SavedInfluenceModel): Promise<void> {
  const { mean, std } = model;
  await store.delete(keyOf(prefix, INFLUENCE_MODEL_FILE));
  await putJson(store, keyOf(prefix, CONFIG_FILE), huggingFaceConfig(model.shape));
  const weights = encodeParameters(model.parameters);
  const { sha256 } = await putFile(store, keyOf(prefix, WEIGHTS_FILE), weights, weights.bytes);
  const record: InfluenceModelRecord = { format: 'mates-influence-model/1', mean, std, sha256 };
  await putJson(store, keyOf(prefix, INFLUENCE_MODEL_FILE), record);
}

/**
 * Reads what {@link saveInfluenceModel} wrote.
 *
 * @param specs the parameters that the model must have; by default those of its own config.json.
 * @throws InputError naming the file, when the model is missing, damaged or of another shape.
 */
export async function loadInfluenceModel(
  store: Store,
  prefix: string,
  specs?: readonly ParameterSpec[],
): Promise<SavedInfluenceModel> {
  const uri = uriOf(store, prefix, INFLUENCE_MODEL_FILE);
  const record = await getRecordIfPresent<InfluenceModelRecord>(
    store,
    keyOf(prefix, INFLUENCE_MODEL_FILE),
    'mates-influence-model/1',
  );
  if (record === undefined) throw new InputError(`${uri} does not exist: no influence model has been fitted there.`);
  const shape = await pretrainedBertShape(store, prefix);
  const parameters = new ParameterSet(specs ?? bertSpecs(shape));
  await loadWeights(store, prefix, parameters, {
    ignore: () => false,
    check: (file, sha256) => {
      if (sha256 !== record.sha256)
        throw new InputError(
          `${uriOf(store, prefix, file)} is damaged: its SHA-256 is not the one in ${INFLUENCE_MODEL_FILE}. Delete the folder ` +
            'and run again; the influence model is then fitted anew.',
        );
    },
  });
  return { shape, parameters, mean: record.mean, std: record.std };
}

/** A `BertConfig`: Transformers loads the encoder with `BertModel` and ignores the regressor. */
function huggingFaceConfig(shape: BertShape): Record<string, unknown> {
  return {
    architectures: ['BertModel'],
    hidden_act: 'gelu',
    hidden_size: shape.width,
    initializer_range: shape.initializerStd,
    intermediate_size: shape.intermediateWidth,
    layer_norm_eps: shape.layerNormEpsilon,
    max_position_embeddings: shape.maxPositions,
    model_type: 'bert',
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    position_embedding_type: 'absolute',
    torch_dtype: 'float32',
    type_vocab_size: shape.typeVocabularySize,
    vocab_size: shape.vocabularySize,
  };
}
