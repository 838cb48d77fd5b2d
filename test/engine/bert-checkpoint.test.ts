import { beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { DirectoryStore, putJson } from '../../core/storage/index.ts';
import { type BertShape, bertSpecs } from '../../engine/bert/bert.ts';
import {
  loadInfluenceModel,
  loadPretrainedBert,
  pretrainedBertShape,
  saveInfluenceModel,
} from '../../engine/files/bert-checkpoint.ts';
import { encodeSafetensors, type Tensor } from '../../engine/files/safetensors.ts';
import { initialParameters } from '../../engine/parameters.ts';
import { temporaryFolder } from '../support.ts';

const shape: BertShape = {
  layers: 1,
  width: 4,
  heads: 2,
  intermediateWidth: 6,
  vocabularySize: 9,
  maxPositions: 5,
  typeVocabularySize: 2,
  layerNormEpsilon: 1e-11,
  initializerStd: 0.1,
};
const specs = bertSpecs(shape);
const config = {
  model_type: 'bert',
  num_hidden_layers: 1,
  hidden_size: 4,
  num_attention_heads: 2,
  intermediate_size: 6,
  vocab_size: 9,
  max_position_embeddings: 5,
  type_vocab_size: 2,
  layer_norm_eps: 1e-11,
  initializer_range: 0.1,
};

let store: DirectoryStore;
beforeEach(async () => {
  store = new DirectoryStore(await temporaryFolder());
});

describe('a pretrained encoder', () => {
  const encoder = initialParameters(specs, 3);
  const tensors = (rename = (name: string) => name): [string, Tensor][] =>
    specs
      .filter(({ name }) => !name.startsWith('regressor.'))
      .map((spec) => [rename(spec.name), { shape: spec.shape, data: encoder.view(spec.name) }]);
  const unused: [string, Tensor][] = [
    ['embeddings.position_ids', { shape: [1, 5], data: new Float32Array(5) }],
    ['pooler.dense.weight', { shape: [1], data: Float32Array.of(1) }],
    ['cls.predictions.bias', { shape: [1], data: Float32Array.of(1) }],
  ];
  const oldName = (name: string) =>
    `bert.${name}`.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta');

  it.each([
    ['its own names', tensors()],
    ['the prefix bert.', tensors((name) => `bert.${name}`)],
    ['the names of a TensorFlow checkpoint', tensors(oldName)],
    ['a pooler, a head and position ids that are not used', [...tensors(), ...unused]],
  ])('is read with %s, and gets a seeded head', async (_, list) => {
    await putJson(store, 'config.json', config);
    await store.put('model.safetensors', encodeSafetensors(list));
    expect(await pretrainedBertShape(store)).toEqual(shape);
    const loaded = await loadPretrainedBert(store, specs, 17);
    const fresh = initialParameters(specs, 17);
    for (const { name } of specs) {
      const expected = name.startsWith('regressor.') ? fresh : encoder;
      expect(loaded.view(name), name).toEqual(expected.view(name));
    }
    expect(loaded.view('regressor.weight')).not.toEqual(initialParameters(specs, 18).view('regressor.weight'));
  });

  it.each([
    [{ num_attention_heads: 3 }, /config\.json: num_attention_heads is 3, a divisor of hidden_size \(4\) was expected/],
    [{ num_hidden_layers: 1.5 }, /config\.json: num_hidden_layers is 1\.5, a whole number from 1 to/],
    [{ vocab_size: 1e15 }, /config\.json: vocab_size is 1000000000000000, a whole number from 1 to/],
    [{ max_position_embeddings: 0 }, /config\.json: max_position_embeddings is 0, a whole number from 1 to/],
  ])('of the shape %j is refused by the name of the field', async (change, message) => {
    await putJson(store, 'config.json', { ...config, ...change });
    await expect(pretrainedBertShape(store)).rejects.toThrow(message);
    await expect(pretrainedBertShape(store)).rejects.toThrow(InputError);
  });

  it('of another kind, or without all its tensors, is refused', async () => {
    await putJson(store, 'config.json', { ...config, model_type: 'roberta' });
    await expect(pretrainedBertShape(store)).rejects.toThrow(/model_type is "roberta"; only "bert"/);
    await putJson(store, 'config.json', { ...config, position_embedding_type: 'relative_key' });
    await expect(pretrainedBertShape(store)).rejects.toThrow(InputError);
    await store.put('model.safetensors', encodeSafetensors(tensors().slice(1)));
    await expect(loadPretrainedBert(store, specs, 1)).rejects.toThrow(/embeddings\.word_embeddings\.weight/);
  });

  it('whose config.json claims more than memory holds is refused by the headers of its weights', async () => {
    const claimed = bertSpecs({ ...shape, width: 1 << 20, vocabularySize: 1 << 24 });
    await store.put('model.safetensors', encodeSafetensors(tensors()));
    const of = expect.stringMatching(/model\.safetensors has embeddings\.\S+ of shape \[\S+\], \[\S+\] was expected/);
    const refused = expect.objectContaining({ name: 'InputError', message: of });
    await expect(loadPretrainedBert(store, claimed, 1)).rejects.toEqual(refused);
    await store.put('model.safetensors', encodeSafetensors([]));
    const absent = expect.objectContaining({ name: 'InputError', message: expect.stringContaining('are missing') });
    await expect(loadPretrainedBert(store, claimed, 1)).rejects.toEqual(absent);
  });

  it('in several files is compared with the headers of all of them', async () => {
    const [first, ...rest] = tensors();
    await store.put('a.safetensors', encodeSafetensors([first!]));
    await store.put('b.safetensors', encodeSafetensors(rest));
    await putJson(store, 'model.safetensors.index.json', { weight_map: { a: 'a.safetensors', b: 'b.safetensors' } });
    const loaded = await loadPretrainedBert(store, specs, 17);
    for (const [name, { data }] of tensors()) expect(loaded.view(name), name).toEqual(data);
    const claimed = bertSpecs({ ...shape, maxPositions: 1 << 24, width: 1 << 20 }).map((spec) =>
      spec.name === first![0] ? { ...spec, shape: [...first![1].shape] } : spec,
    );
    await expect(loadPretrainedBert(store, claimed, 1)).rejects.toThrow(/b\.safetensors has .* was expected/);
  });
});

describe('a fitted influence model', () => {
  const parameters = initialParameters(specs, 8);
  const saved = { shape, parameters, mean: -0.25, std: 0.125 };

  it('comes back whole', async () => {
    await saveInfluenceModel(store, 'stages/1/influence-model', saved);
    expect(await loadInfluenceModel(store, 'stages/1/influence-model', specs)).toEqual(saved);
    expect((await loadInfluenceModel(store, 'stages/1/influence-model')).parameters.specs).toEqual(specs);
  });

  it('is refused when missing, damaged or of another shape', async () => {
    await expect(loadInfluenceModel(store, 'm')).rejects.toThrow(/m\/influence-model\.json does not exist/);
    await saveInfluenceModel(store, 'm', saved);
    await expect(loadInfluenceModel(store, 'm', bertSpecs({ ...shape, layers: 2 }))).rejects.toThrow(InputError);
    const bytes = (await store.get('m/model.safetensors')).slice();
    bytes[bytes.length - 1]! ^= 1;
    await store.put('m/model.safetensors', bytes);
    await expect(loadInfluenceModel(store, 'm')).rejects.toThrow(/m\/model\.safetensors is damaged/);
  });
});
