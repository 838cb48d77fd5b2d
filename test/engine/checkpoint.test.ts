import { beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../core/errors.ts';
import { DirectoryStore, getJson, putFile, putJson } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { decoderSpecs } from '../../engine/decoder/decoder.ts';
import type { GptNeoxShape } from '../../engine/decoder/gpt-neox.ts';
import type { LlamaShape } from '../../engine/decoder/llama.ts';
import { hasCheckpoint, loadCheckpoint, loadModel, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { readDescription } from '../../engine/files/described-model.ts';
import { encodeSafetensors, type Tensor } from '../../engine/files/safetensors.ts';
import { initialParameters, ParameterSet } from '../../engine/parameters.ts';
import { temporaryFolder } from '../support.ts';

const SHAPE: GptNeoxShape = {
  architecture: 'gpt-neox',
  layers: 2,
  width: 8,
  heads: 2,
  mlpWidth: 24,
  rotaryFraction: 0.5,
  rotaryBase: 5000,
  layerNormEpsilon: 1e-6,
  initializerStd: 0.03,
  parallelResidual: false,
  activation: 'gelu',
  attentionBias: true,
  tiedEmbeddings: false,
  vocabularySize: 11,
};
const options = { beta1: 0.8, beta2: 0.9, epsilon: 1e-7, weightDecay: 0.2 };
const state = { step: 3, tokens: 96, rows: [4, 5], metrics: { loss: [2.5, 2.25] } };

/** A model that has taken three steps. */
function trained(variant: Partial<GptNeoxShape> = {}) {
  const shape = { ...SHAPE, ...variant };
  const parameters = initialParameters(decoderSpecs(shape), 5);
  const optimizer = new AdamW(parameters.flat.length, options);
  for (let step = 0; step < 3; step++)
    optimizer.apply(parameters.flat, initialParameters(parameters.specs, 6 + step).flat, 0.01);
  return { shape, parameters, optimizer, state, contextLength: 32, endOfText: 10 };
}

const tensorsOf = (set: ParameterSet): [string, Tensor][] =>
  set.specs.map((spec) => [spec.name, { shape: spec.shape, data: set.view(spec.name) }]);

let store: DirectoryStore;
beforeEach(async () => {
  store = new DirectoryStore(await temporaryFolder());
});

describe('a checkpoint', () => {
  it.each([
    ['sha256', undefined, 'has no sha256'],
    ['state', undefined, 'state.step is missing'],
    ['optimizer', { step: 3 }, 'optimizer.beta1 is missing'],
    ['optimizer', { ...options, step: '3' }, 'optimizer.step is missing or not a number'],
  ])('of another trainer is refused with the %s %j', async (field, value, message) => {
    await saveCheckpoint(store, 'a', trained());
    const record = await getJson<object>(store, 'a/training.json');
    await putJson(store, 'a/training.json', { ...record, [field]: value });
    await expect(loadCheckpoint(store, 'a')).rejects.toThrow(InputError);
    await expect(loadCheckpoint(store, 'a')).rejects.toThrow(message);
  });

  it('comes back whole: training goes on as if it had never stopped', async () => {
    const parts = trained();
    await saveCheckpoint(store, 'a/b', parts);
    const back = await loadCheckpoint(store, 'a/b');
    expect(back.shape).toEqual(SHAPE);
    expect(back.parameters.specs).toEqual(parts.parameters.specs);
    expect(back.parameters.flat).toEqual(parts.parameters.flat);
    expect(back.optimizer).toEqual(parts.optimizer);
    expect(back.state).toEqual(state);
    expect(back.contextLength).toBe(32);
    const gradient = initialParameters(parts.parameters.specs, 1).flat;
    parts.optimizer.apply(parts.parameters.flat, gradient, 0.1);
    back.optimizer.apply(back.parameters.flat, gradient, 0.1);
    expect(back.parameters.flat).toEqual(parts.parameters.flat);
  });

  it.each<[Partial<GptNeoxShape>, object]>([
    [{ activation: 'gelu-tanh' }, { hidden_act: 'gelu_pytorch_tanh' }],
    [{ attentionBias: false }, { attention_bias: false }],
    [{ tiedEmbeddings: true }, { tie_word_embeddings: true }],
  ])('comes back with %j', async (variant, fields) => {
    const parts = trained(variant);
    await saveCheckpoint(store, '', parts);
    expect(await getJson(store, 'config.json')).toMatchObject(fields);
    const back = await loadCheckpoint(store, '');
    expect(back.shape).toEqual({ ...SHAPE, ...variant });
    expect(back.parameters.specs).toEqual(parts.parameters.specs);
    expect(back.parameters.flat).toEqual(parts.parameters.flat);
  });

  it('has the same bytes every time', async () => {
    await saveCheckpoint(store, 'a', trained());
    await saveCheckpoint(store, 'b', trained());
    const names = await store.list('a/');
    expect(names).toEqual(['a/config.json', 'a/model.safetensors', 'a/optimizer.safetensors', 'a/training.json']);
    for (const name of names) expect(await store.get(name)).toEqual(await store.get(name.replace('a/', 'b/')));
  });

  it('is the Hugging Face configuration of its model', async () => {
    await saveCheckpoint(store, '', trained());
    expect(await getJson(store, 'config.json')).toMatchObject({
      architectures: ['GPTNeoXForCausalLM'],
      model_type: 'gpt_neox',
      hidden_size: 8,
      intermediate_size: 24,
      rotary_pct: 0.5,
      rotary_emb_base: 5000,
      layer_norm_eps: 1e-6,
      vocab_size: 11,
      max_position_embeddings: 32,
      eos_token_id: 10,
    });
  });

  it('counts only once training.json is there, which is written last', async () => {
    const order: string[] = [];
    const watched: DirectoryStore = Object.create(store);
    watched.put = (key, bytes) => {
      order.push(key);
      return store.put(key, bytes);
    };
    await saveCheckpoint(watched, 'a', trained());
    expect(order.at(-1)).toBe('a/training.json');
    expect(await hasCheckpoint(store, 'a')).toBe(true);
    await store.delete('a/training.json');
    expect(await hasCheckpoint(store, 'a')).toBe(false);
    await expect(loadCheckpoint(store, 'a')).rejects.toThrow(/a\/training\.json does not exist/);
  });

  it('that is overwritten and interrupted counts as none', async () => {
    await saveCheckpoint(store, 'a', trained());
    const failing: DirectoryStore = Object.create(store);
    failing.put = async (key, bytes) => {
      if (key.endsWith('optimizer.safetensors')) throw new Error('killed');
      await store.put(key, bytes);
    };
    await expect(saveCheckpoint(failing, 'a', trained())).rejects.toThrow('killed');
    expect(await hasCheckpoint(store, 'a')).toBe(false);
  });

  it.each(['config.json', 'model.safetensors', 'optimizer.safetensors'])(
    'names %s when it is damaged or lost',
    async (file) => {
      await saveCheckpoint(store, 'a', trained());
      const bytes = await store.get(`a/${file}`);
      for (const at of [9, bytes.length - 1]) {
        const damaged = bytes.slice();
        damaged[at]! ^= 1;
        await store.put(`a/${file}`, damaged);
        await expect(loadCheckpoint(store, 'a')).rejects.toThrow(InputError);
        await expect(loadCheckpoint(store, 'a')).rejects.toThrow(`a/${file} is damaged`);
      }
      await store.put(`a/${file}`, bytes.subarray(0, -1));
      await expect(loadCheckpoint(store, 'a')).rejects.toThrow(`a/${file} is damaged`);
      await store.delete(`a/${file}`);
      await expect(loadCheckpoint(store, 'a')).rejects.toThrow(`a/${file}`);
      await expect(loadCheckpoint(store, 'a')).rejects.toThrow(InputError);
    },
  );
});

it('a checkpoint without some of the moments is refused', async () => {
  await saveCheckpoint(store, 'a', trained());
  const { parameters, optimizer } = trained();
  const tensors = [['exp_avg.', optimizer.m] as const, ['exp_avg_sq.', optimizer.v] as const].flatMap(([kind, flat]) =>
    tensorsOf(new ParameterSet(parameters.specs, flat as Float32Array<ArrayBuffer>)).map(
      ([name, tensor]) => [kind + name, tensor] as const,
    ),
  );
  const { sha256 } = await putFile(store, 'a/optimizer.safetensors', encodeSafetensors(tensors.slice(0, -1)));
  const record = await getJson<{ sha256: Record<string, string> }>(store, 'a/training.json');
  record.sha256['optimizer.safetensors'] = sha256;
  await putJson(store, 'a/training.json', record);
  const lost = tensors.at(-1)![0];
  await expect(loadCheckpoint(store, 'a')).rejects.toThrow(`a/optimizer.safetensors has no tensor ${lost}`);
});

const LLAMA: LlamaShape = {
  architecture: 'llama',
  layers: 2,
  width: 8,
  heads: 4,
  keyValueHeads: 2,
  mlpWidth: 12,
  attentionBias: false,
  tiedEmbeddings: false,
  rotaryBase: 5000,
  layerNormEpsilon: 1e-6,
  initializerStd: 0.03,
  vocabularySize: 11,
};

describe('a Llama', () => {
  const rotaryScaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 16 };
  it.each<[Partial<LlamaShape>, object]>([
    [{}, { model_type: 'llama', architectures: ['LlamaForCausalLM'], num_key_value_heads: 2, attention_bias: false }],
    [
      { attentionBias: true, keyValueHeads: 4 },
      { attention_bias: true, num_key_value_heads: 4 },
    ],
    [{ headWidth: 6 }, { model_type: 'llama', head_dim: 6 }],
    [
      { headWidth: 6, queryKeyNorm: true },
      { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], head_dim: 6, attention_bias: false },
    ],
    [{ attentionBias: 'qkv' }, { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'] }],
    [{ tiedEmbeddings: true }, { tie_word_embeddings: true }],
    [{ rotaryScaling }, { rope_theta: 5000, rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1 } }],
  ])('comes back from a checkpoint with %j', async (variant, fields) => {
    const shape = { ...LLAMA, ...variant };
    const parameters = initialParameters(decoderSpecs(shape), 5);
    const optimizer = new AdamW(parameters.flat.length, options);
    await saveCheckpoint(store, '', { shape, parameters, optimizer, state, contextLength: 32, endOfText: 10 });
    expect(await getJson(store, 'config.json')).toMatchObject(fields);
    const back = await loadCheckpoint(store, '');
    expect(back).toMatchObject({ shape, contextLength: 32 });
    expect(back.parameters.flat).toEqual(parameters.flat);
  });

  const parameters = initialParameters(decoderSpecs(LLAMA), 9);
  const config = {
    model_type: 'llama',
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 11,
  };
  const read = async (change: object, shape = LLAMA) => {
    await putJson(store, 'config.json', { ...config, ...change });
    const tensors = shape === LLAMA ? parameters : initialParameters(decoderSpecs(shape), 9);
    await store.put('model.safetensors', encodeSafetensors(tensorsOf(tensors)));
    return loadModel(store, '');
  };

  it("is read with its buffers left out and the library's defaults filled in", async () => {
    await putJson(store, 'config.json', config);
    const buffer: Tensor = { shape: [1], data: Float32Array.of(1) };
    const name = 'model.layers.1.self_attn.rotary_emb.inv_freq';
    await store.put('model.safetensors', encodeSafetensors([...tensorsOf(parameters), [name, buffer]]));
    const model = await loadModel(store, '');
    expect(model.parameters.flat).toEqual(parameters.flat);
    expect(model.shape).toMatchObject({ rotaryBase: 10_000, layerNormEpsilon: 1e-6, attentionBias: false });
    expect(model.contextLength).toBe(2048);
  });

  it('may be called Mistral, which attends no further than its window, or Qwen2, which has biases', async () => {
    const mistral = { model_type: 'mistral', max_position_embeddings: 64 };
    expect((await read({ ...mistral, sliding_window: 16 })).contextLength).toBe(16);
    expect((await read({ ...mistral, sliding_window: null })).contextLength).toBe(64);
    expect((await read({ model_type: 'mistral' })).contextLength).toBe(4096);
    const qwen2 = { model_type: 'qwen2', sliding_window: 16 };
    const { shape, contextLength } = await read(qwen2, { ...LLAMA, attentionBias: 'qkv' });
    expect(shape).toMatchObject({ attentionBias: 'qkv' });
    expect(contextLength).toBe(32_768);
  });

  it.each(['llama', 'mistral', 'qwen2', 'qwen3'])(
    'has as many heads of keys where null stands, as a %s',
    async (model_type) => {
      await putJson(store, 'config.json', { ...config, model_type, num_key_value_heads: null, head_dim: 2 });
      expect((await readDescription(store, '')).shape).toMatchObject({ heads: 4, keyValueHeads: 4 });
    },
  );

  it('may be called Qwen3, which has norms of queries and keys, and heads of 128 dimensions', async () => {
    const wanted = { ...LLAMA, headWidth: 128, queryKeyNorm: true };
    const { shape, contextLength } = await read({ model_type: 'qwen3' }, wanted);
    expect(shape).toMatchObject({ headWidth: 128, queryKeyNorm: true, attentionBias: false });
    expect(contextLength).toBe(32_768);
    const usual = await read({ model_type: 'qwen3', head_dim: 2 }, { ...LLAMA, queryKeyNorm: true });
    expect(usual.shape).not.toHaveProperty('headWidth');
    await expect(read({ model_type: 'qwen3', use_sliding_window: true }, wanted)).rejects.toThrow(/use_sliding_window/);
  });

  it.each([
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu"; only "silu" is supported/],
    [{ mlp_bias: true }, /mlp_bias is true; only false is supported/],
    [{ head_dim: 3 }, /head_dim is 3, an even number above 0 was expected/],
    [{ num_attention_heads: 8 }, /num_attention_heads is 8, heads of an even number .* were expected, not of 1/],
    [{ num_key_value_heads: 3 }, /num_key_value_heads is 3, a divisor of num_attention_heads \(4\) was expected/],
    [{ num_key_value_heads: 8 }, /num_key_value_heads is 8, a whole number from 1 to 4 was expected/],
    [{ model_type: 'qwen2', use_sliding_window: true }, /use_sliding_window is true; only false is supported/],
    [{ rope_parameters: { partial_rotary_factor: 0.5 } }, /partial_rotary_factor is 0\.5, only 1 is supported/],
    [
      { rope_scaling: { type: 'linear', factor: 2 } },
      /rope_scaling\.type is "linear", only "default" and "llama3" are supported/,
    ],
    [
      { rope_scaling: { rope_type: 'llama3', factor: 8 } },
      /rope_scaling\.low_freq_factor is missing: a number above 0 was expected/,
    ],
    [
      {
        rope_scaling: {
          ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 },
          original_max_position_embeddings: 16,
        },
      },
      /high_freq_factor is 4, a number above low_freq_factor was expected/,
    ],
    [{ intermediate_size: undefined }, /intermediate_size is missing: a number was expected/],
    [
      { model_type: 'mistral', num_key_value_heads: undefined },
      /num_key_value_heads is missing, which means 8: a whole number from 1 to 4 was expected/,
    ],
    [{ rope_scaling: 'linear' }, /rope_scaling is "linear", an object was expected/],
    [{ rope_scaling: ['linear', 2] }, /rope_scaling is \["linear",2\], an object was expected/],
    [{ rope_theta: 0 }, /rope_theta is 0, a number above 0 was expected/],
    [{ rms_norm_eps: -1 }, /rms_norm_eps is -1, a number above 0 was expected/],
    [
      { rope_parameters: { full_attention: { rope_type: 'default' } } },
      /rope_parameters\.full_attention is .* only positions that are the same in all layers are supported/,
    ],
    [
      { model_type: 'qwen2', layer_types: ['full_attention', 'sliding_attention'] },
      /layer_types is \["full_attention","sliding_attention"\]; only \["full_attention","\.\.\."\] is supported/,
    ],
    [
      {
        rope_scaling: {
          ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
          original_max_position_embeddings: 16,
        },
        original_max_position_embeddings: 32,
      },
      /original_max_position_embeddings is 32, that in rope_scaling was expected/,
    ],
  ])('is refused with %j, by the name of the field', async (change, message) => {
    await expect(read(change)).rejects.toThrow(message);
    await expect(read(change)).rejects.toThrow(InputError);
  });
});

describe('a downloaded model', () => {
  const parameters = initialParameters(decoderSpecs(SHAPE), 9);
  const config = {
    model_type: 'gpt_neox',
    hidden_size: 8,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 1,
    vocab_size: 11,
  };
  const buffer: Tensor = { shape: [1, 1], data: Float32Array.of(1) };

  it("is read with its buffers left out and the library's defaults filled in", async () => {
    await putJson(store, 'config.json', config);
    const buffers = ['attention.bias', 'attention.masked_bias', 'attention.rotary_emb.inv_freq'];
    const tensors = [...tensorsOf(parameters), ...buffers.map((b) => [`gpt_neox.layers.1.${b}`, buffer] as const)];
    await store.put('model.safetensors', encodeSafetensors(tensors));
    const model = await loadModel(store, '');
    expect(model.parameters.flat).toEqual(parameters.flat);
    expect(model.shape).toMatchObject({ rotaryFraction: 0.25, rotaryBase: 10_000, layerNormEpsilon: 1e-5 });
    expect(model.contextLength).toBe(2048);
  });

  it('may write its rotary settings as Transformers 5 does', async () => {
    const rope_parameters = { rope_theta: 777, partial_rotary_factor: 0.5, rope_type: 'default' };
    await putJson(store, 'config.json', { ...config, rope_parameters });
    await store.put('model.safetensors', encodeSafetensors(tensorsOf(parameters)));
    expect((await loadModel(store, '')).shape).toMatchObject({ rotaryFraction: 0.5, rotaryBase: 777 });
  });

  it.each([
    ['gelu_python', 'gelu'],
    ['gelu_new', 'gelu-tanh'],
    ['gelu_fast', 'gelu-tanh'],
    ['gelu_pytorch_tanh', 'gelu-tanh'],
  ])('may call its activation %s', async (hidden_act, activation) => {
    await putJson(store, 'config.json', { ...config, hidden_act });
    await store.put('model.safetensors', encodeSafetensors(tensorsOf(parameters)));
    expect((await loadModel(store, '')).shape).toMatchObject({ activation });
  });

  it('may call its head as Transformers 5 does in memory, but not have two', async () => {
    await putJson(store, 'config.json', config);
    const tensors = tensorsOf(parameters);
    const [, head] = tensors.at(-1)!;
    await store.put('model.safetensors', encodeSafetensors([...tensors.slice(0, -1), ['lm_head.weight', head]]));
    expect((await loadModel(store, '')).parameters.flat).toEqual(parameters.flat);
    await store.put('model.safetensors', encodeSafetensors([...tensors, ['lm_head.weight', head]]));
    await expect(loadModel(store, '')).rejects.toThrow(/given twice/);
  });

  it('may have its embedding as its head, which a file may repeat, but not with other weights', async () => {
    await putJson(store, 'config.json', { ...config, tie_word_embeddings: true });
    const read = async (tensors: [string, Tensor][]) => {
      await store.put('model.safetensors', encodeSafetensors(tensors));
      return (await loadModel(store, '')).parameters;
    };
    const tensors = tensorsOf(parameters).slice(0, -1);
    const tied = await read(tensors);
    expect(tied.specs.map(({ name }) => name)).not.toContain('embed_out.weight');
    expect(tied.flat).toEqual(parameters.flat.subarray(0, -11 * 8));
    const embedding = { shape: [11, 8], data: parameters.view('gpt_neox.embed_in.weight').slice() };
    expect((await read([...tensors, ['embed_out.weight', embedding]])).flat).toEqual(tied.flat);
    embedding.data[3]! += 1;
    for (const name of ['embed_out.weight', 'lm_head.weight'])
      await expect(read([...tensors, [name, embedding]])).rejects.toThrow(
        /tie_word_embeddings is true, but embed_out\.weight is not gpt_neox\.embed_in\.weight\. Set it to false/,
      );
  });

  it('may be sharded', async () => {
    const tensors = tensorsOf(parameters);
    const weight_map = Object.fromEntries(tensors.map(([name], i) => [name, `model-${i % 3}.safetensors`]));
    for (let part = 0; part < 3; part++)
      await store.put(`m/model-${part}.safetensors`, encodeSafetensors(tensors.filter((_, i) => i % 3 === part)));
    await putJson(store, 'm/config.json', config);
    await putJson(store, 'm/model.safetensors.index.json', { weight_map });
    expect((await loadModel(store, 'm')).parameters.flat).toEqual(parameters.flat);
    await store.put('m/model-1.safetensors', encodeSafetensors(tensors.filter((_, i) => i % 3 === 1).slice(1)));
    await expect(loadModel(store, 'm')).rejects.toThrow(
      /\/m\/model-0\.safetensors, .*\/m\/model-2\.safetensors: 1 tensors? .* missing/,
    );
    await store.delete('m/model-1.safetensors');
    await expect(loadModel(store, 'm')).rejects.toThrow(/model-1\.safetensors does not exist, but/);
  });

  it.each([[{}], [null], [{ weight_map: {} }], [{ weight_map: { a: 5 } }], [{ weight_map: ['a'] }]])(
    'is refused with the index %j, by its name',
    async (index) => {
      await putJson(store, 'i/config.json', config);
      await putJson(store, 'i/model.safetensors.index.json', index);
      await expect(loadModel(store, 'i')).rejects.toThrow(
        /i\/model\.safetensors\.index\.json: its weight_map does not name a file for each tensor/,
      );
    },
  );

  it('without its head may be one whose head is the embedding', async () => {
    await putJson(store, 'h/config.json', config);
    const tensors = tensorsOf(parameters).filter(([name]) => name !== 'embed_out.weight');
    await store.put('h/model.safetensors', encodeSafetensors(tensors));
    await expect(loadModel(store, 'h')).rejects.toThrow(
      /the first is embed_out\.weight\. Set tie_word_embeddings to true in config\.json if the embedding is its head; otherwise download/,
    );
  });

  it.each([
    [{ head_dim: 16 }, /head_dim is 16, only hidden_size \/ num_attention_heads, 8, is supported\. Use another model/],
    [{ model_type: 'phi' }, /config\.json: model_type is "phi"; only "gpt_neox", "llama", .*"qwen3" are/],
    [{ hidden_act: 'relu' }, /hidden_act is "relu"; only "gelu", "gelu_python", .* are supported/],
    [{ hidden_act: 'constructor' }, /hidden_act is "constructor"; only/],
    [{ attention_bias: false }, /attention\.dense\.bias is no part of the model that config\.json describes/],
    [{ use_parallel_residual: 'no' }, /use_parallel_residual is "no", true or false was expected/],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, /rope_scaling\.type is "linear"/],
    [{ layer_norm_eps: 0 }, /layer_norm_eps is 0, a number above 0/],
    [{ hidden_size: '8' }, /hidden_size is "8", a number was expected/],
    [{ num_attention_heads: 3 }, /config\.json: num_attention_heads is 3, a divisor of hidden_size \(8\) was expected/],
    [
      { num_hidden_layers: 1.5 },
      /config\.json: num_hidden_layers is 1\.5, a whole number from 1 to 10000 was expected/,
    ],
    [{ vocab_size: 1e15 }, /config\.json: vocab_size is 1000000000000000, a whole number from 1 to/],
    [{ max_position_embeddings: 0 }, /config\.json: max_position_embeddings is 0, a whole number from 1 to/],
    [{ intermediate_size: -8 }, /config\.json: intermediate_size is -8, a whole number from 1 to/],
    [{ rotary_pct: 1.5 }, /config\.json: rotary_pct is 1\.5, a share up to 1 was expected/],
    [{ rotary_pct: 0.4 }, /config\.json: rotary_pct is 0\.4, .* of the 8 dimensions of a head an even number/],
    [
      { rope_parameters: { partial_rotary_factor: 0 } },
      /config\.json: rope_parameters\.partial_rotary_factor is 0, a number above 0/,
    ],
    [{ vocab_size: 12 }, /model\.safetensors has embed_out\.weight of shape \[11,8\], \[12,8\] was expected/],
    [
      { num_hidden_layers: 3 },
      /12 tensors of the model .* missing, the first is gpt_neox\.layers\.2\.input_layernorm\.weight/,
    ],
    [{ num_hidden_layers: 1 }, /gpt_neox\.layers\.1\.\S+ is no part of the model that config\.json describes\.$/],
    [
      { quantization_config: { quant_method: 'x' } },
      /config\.json has quantization_config: .*; save the model dequantised/,
    ],
    [
      { rope_scaling: { type: 'linear', factor: 4 }, rope_parameters: { rope_type: 'default', rope_theta: 10000 } },
      /config\.json has rope_scaling: rope_parameters says something else; remove one/,
    ],
    [
      { rope_parameters: { rope_theta: '500' } },
      /config\.json: rope_parameters\.rope_theta is "500", a number above 0 was expected/,
    ],
    [
      { rope_parameters: { rope_type: 'yarn' } },
      /rope_type is "yarn", only "default" is supported.* Use another model/,
    ],
  ])('%j is refused by the name of the field or tensor', async (change, message) => {
    await putJson(store, 'config.json', { ...config, ...change });
    await store.put('model.safetensors', encodeSafetensors(tensorsOf(parameters)));
    await expect(loadModel(store, '')).rejects.toThrow(message);
    await expect(loadModel(store, '')).rejects.toThrow(InputError);
  });

  it('that was saved compiled is refused with the names that were expected', async () => {
    await putJson(store, 'config.json', config);
    const compiled = tensorsOf(parameters).map(([name, tensor]) => [`_orig_mod.${name}`, tensor] as const);
    await store.put('model.safetensors', encodeSafetensors(compiled));
    await expect(loadModel(store, '')).rejects.toThrow(
      /_orig_mod\.\S+ is no part of .*, whose tensors are named like gpt_neox\.\S+; save the whole model again/,
    );
  });

  it('that is missing, or only there as a pickle, is refused with the remedy', async () => {
    await expect(loadModel(store, '')).rejects.toThrow(/config\.json does not exist; name a Hugging Face model/);
    await putJson(store, 'config.json', config);
    await store.put('pytorch_model.bin', 'pickle');
    await expect(loadModel(store, '')).rejects.toThrow(/save_pretrained/);
  });
});
