import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { AdamW } from '../../engine/adamw.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import type { GptNeoxShape } from '../../engine/decoder/gpt-neox.ts';
import { LanguageModel, type TokenBatch } from '../../engine/decoder/language-model.ts';
import type { LlamaShape } from '../../engine/decoder/llama.ts';
import { crossEntropy, tokenCrossEntropy } from '../../engine/losses.ts';
import { initialParameters, ParameterSet, type ParameterSpec } from '../../engine/parameters.ts';
import { createRuntime, type Runtime } from '../../engine/runtime/runtime.ts';
import { plainGptNeox, plainLlama } from './plain-models.ts';
import {
  OTHER_GPT,
  OTHER_LLAMA,
  QUERY_KEY_NORM,
  randomParameters,
  randomTokens,
  relativeDifferences,
  TINY_GPT,
  TINY_LLAMA,
  tokenBatch,
  uniforms,
} from './support.ts';
import { logitsOf } from './whole-outputs.ts';

let onnx: Runtime;
let reference: Runtime;
let model: LanguageModel;
let parameters: ParameterSet;
const V = TINY_GPT.vocabularySize;

beforeAll(async () => {
  onnx = await createRuntime('onnx', { threads: 1 });
  reference = await createRuntime('tfjs-cpu');
  model = new LanguageModel(onnx, TINY_GPT);
  parameters = randomParameters(model.specs);
});

describe('the model', () => {
  it.each([
    { rotaryFraction: 0.25 },
    { rotaryFraction: 0.5 },
    { rotaryFraction: 1 },
    ...Object.entries(OTHER_GPT).map(([name, value]) => ({ [name]: value })),
    OTHER_GPT,
  ])('equals GPT-NeoX written as plain loops, %j', async (variant) => {
    const shape: GptNeoxShape = { ...TINY_GPT, ...variant };
    await expectLogits(shape, (parameters, row) => plainGptNeox(shape, parameters, row));
  });

  it.each([
    {},
    { keyValueHeads: 4 },
    { attentionBias: true },
    ...Object.entries(OTHER_LLAMA).map(([name, value]) => ({ [name]: value })),
    OTHER_LLAMA,
    { headWidth: 12 },
    QUERY_KEY_NORM,
  ])('equals Llama written as plain loops, %j', async (variant) => {
    const shape: LlamaShape = { ...TINY_LLAMA, ...variant };
    await expectLogits(shape, (parameters, row) => plainLlama(shape, parameters, row));
  });

  async function expectLogits(shape: DecoderShape, plain: (parameters: ParameterSet, row: number[]) => number[][]) {
    const parameters = randomParameters(decoderSpecs(shape));
    const tokens = randomTokens(2 * 6, V);
    for (const runtime of [onnx, reference]) {
      const logits = await logitsOf(runtime, shape, parameters, { batch: 2, length: 6, tokens });
      const expected = [tokens.slice(0, 6), tokens.slice(6)].flatMap((row) => plain(parameters, [...row]));
      const scale = Math.max(...expected.flat().map(Math.abs));
      expected.flat().forEach((value, i) => {
        expect(Math.abs(logits[i]! - value) / scale).toBeLessThan(3e-6);
      });
    }
  }

  it('has the parameters, names and shapes of GPTNeoXForCausalLM', () => {
    const shapes = Object.fromEntries(model.specs.map(({ name, shape }) => [name, shape]));
    expect(shapes).toMatchObject({
      'gpt_neox.embed_in.weight': [40, 24],
      'gpt_neox.layers.1.input_layernorm.weight': [24],
      'gpt_neox.layers.1.post_attention_layernorm.bias': [24],
      'gpt_neox.layers.1.attention.query_key_value.weight': [72, 24],
      'gpt_neox.layers.1.attention.query_key_value.bias': [72],
      'gpt_neox.layers.1.attention.dense.weight': [24, 24],
      'gpt_neox.layers.1.mlp.dense_h_to_4h.weight': [96, 24],
      'gpt_neox.layers.1.mlp.dense_4h_to_h.weight': [24, 96],
      'gpt_neox.final_layer_norm.weight': [24],
      'embed_out.weight': [40, 24],
    });
    expect(model.specs).toHaveLength(2 + 2 + 2 * 12);
    const names = decoderSpecs({ ...TINY_GPT, ...OTHER_GPT }).map(({ name }) => name);
    const left = model.specs.filter(({ name }) => !names.includes(name)).map(({ name }) => name);
    expect(left).toHaveLength(2 * 2 + 1);
    expect(left).toContain('gpt_neox.layers.1.attention.dense.bias');
    expect(left).toContain('gpt_neox.layers.1.attention.query_key_value.bias');
    expect(left).toContain('embed_out.weight');
  });

  it('has the parameters, names and shapes of LlamaForCausalLM, and of Qwen2ForCausalLM', () => {
    const shapesOf = (shape: LlamaShape) => decoderSpecs(shape).map(({ name, shape }) => [name, shape]);
    const layer = (i: number) => [
      [`model.layers.${i}.self_attn.q_proj.weight`, [32, 32]],
      [`model.layers.${i}.self_attn.k_proj.weight`, [16, 32]],
      [`model.layers.${i}.self_attn.v_proj.weight`, [16, 32]],
      [`model.layers.${i}.self_attn.o_proj.weight`, [32, 32]],
      [`model.layers.${i}.mlp.gate_proj.weight`, [40, 32]],
      [`model.layers.${i}.mlp.up_proj.weight`, [40, 32]],
      [`model.layers.${i}.mlp.down_proj.weight`, [32, 40]],
      [`model.layers.${i}.input_layernorm.weight`, [32]],
      [`model.layers.${i}.post_attention_layernorm.weight`, [32]],
    ];
    const embedding = ['model.embed_tokens.weight', [40, 32]];
    const ends = [
      ['model.norm.weight', [32]],
      ['lm_head.weight', [40, 32]],
    ];
    expect(shapesOf(TINY_LLAMA)).toEqual([embedding, ...layer(0), ...layer(1), ...ends]);
    const biases = shapesOf({ ...TINY_LLAMA, attentionBias: 'qkv', tiedEmbeddings: true }).filter(
      ([name]) => !shapesOf(TINY_LLAMA).some(([other]) => other === name),
    );
    expect(biases).toEqual(
      [0, 1].flatMap((i) => [
        [`model.layers.${i}.self_attn.q_proj.bias`, [32]],
        [`model.layers.${i}.self_attn.k_proj.bias`, [16]],
        [`model.layers.${i}.self_attn.v_proj.bias`, [16]],
      ]),
    );
  });

  it('begins at a loss of about log(vocabulary)', async () => {
    const loss = await model.tokenLosses(initialParameters(model.specs, 5), tokenBatch(2, 9, V));
    for (const value of loss) expect(value).toBeCloseTo(Math.log(V), 0);
  });
});

it('features of a row are its mean loss and the mean state, whose logits are the mean logits', async () => {
  const batch = tokenBatch(3, 9, V);
  const width = TINY_GPT.width;
  const head = parameters.view('embed_out.weight');
  const losses = await model.tokenLosses(parameters, batch);
  const read = Int32Array.from({ length: 3 * 8 }, (_, i) => batch.tokens[Math.floor(i / 8) * 9 + (i % 8)]!);
  const logits = await logitsOf(onnx, TINY_GPT, parameters, { batch: 3, length: 8, tokens: read });
  for (const runtime of [onnx, reference]) {
    const features = await new LanguageModel(runtime, TINY_GPT).rowFeatures(parameters, batch);
    for (let row = 0; row < 3; row++) {
      const [loss, ...state] = features.subarray(row * (1 + width), (row + 1) * (1 + width));
      const mean = losses.subarray(row * 8, (row + 1) * 8).reduce((sum, value) => sum + value / 8, 0);
      expect(loss).toBeCloseTo(mean, 5);
      for (const token of [0, 7, V - 1]) {
        const own = state.reduce((sum, value, i) => sum + value * head[token * width + i]!, 0);
        let expected = 0;
        for (let position = 0; position < 8; position++) expected += logits[(row * 8 + position) * V + token]! / 8;
        expect(own).toBeCloseTo(expected, 5);
      }
    }
  }
});

it.each([
  [7, 1],
  [7, 3],
  [150, 2],
])('states of rows of %d tokens at %d positions are those of all positions', async (length, count) => {
  const tokens = randomTokens(3 * length, V);
  const positions = Int32Array.from(randomTokens(3 * count, length, 5));
  positions[0] = 0;
  positions[positions.length - 1] = length - 1;
  for (const shape of [TINY_GPT, { ...TINY_GPT, ...OTHER_GPT }, { ...TINY_LLAMA, ...QUERY_KEY_NORM }])
    for (const runtime of [onnx, reference]) {
      const model = new LanguageModel(runtime, shape);
      const parameters = randomParameters(model.specs);
      const batch = { batch: 3, length, tokens };
      const all = await model.hiddenStates(parameters, batch);
      const found = await model.hiddenStatesAt(parameters, batch, positions);
      const { width } = shape;
      const expected = [...positions].flatMap((position, i) => {
        const state = Math.floor(i / count) * length + position;
        return [...all.subarray(state * width, (state + 1) * width)];
      });
      expect(found).toHaveLength(expected.length);
      found.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
      });
    }
});

it.each([[[0, 1, 2]], [[0, -1]], [[0, 5]]])('refuses %j as positions of two rows of 5 tokens', async (positions) => {
  const batch = { batch: 2, length: 5, tokens: randomTokens(10, V) };
  await expect(model.hiddenStatesAt(parameters, batch, Int32Array.from(positions))).rejects.toThrow(RangeError);
});

describe('losses', () => {
  it('of the forward pass alone are those that training weighs and adds', async () => {
    const batch = tokenBatch(3, 8, V);
    const losses = await model.tokenLosses(parameters, batch);
    const gradient = new ParameterSet(model.specs);
    const loss = await model.lossAndGradient(parameters, batch, gradient);
    const expected = losses.reduce((sum, value, i) => sum + value * batch.weights![i]!, 0);
    expect(loss / expected).toBeCloseTo(1, 6);
    const { weights: _, ...unweighted } = batch;
    const mean = losses.reduce((a, b) => a + b) / losses.length;
    expect((await model.lossAndGradient(parameters, unweighted, gradient)) / mean).toBeCloseTo(1, 6);
  });

  it('are -log softmax of the logits at the next token', async () => {
    const batch = tokenBatch(2, 5, V);
    const losses = await model.tokenLosses(parameters, batch);
    const logits = await logitsOf(onnx, TINY_GPT, parameters, batch);
    for (let row = 0; row < 2; row++)
      for (let t = 0; t < 4; t++) {
        const at = (row * 5 + t) * V;
        const scores = [...logits.subarray(at, at + V)];
        const expected =
          Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0)) - scores[batch.tokens[row * 5 + t + 1]!]!;
        expect(losses[row * 4 + t]).toBeCloseTo(expected, 4);
      }
  });

  it('do not change with later tokens, nor with other rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: V - 1 }), async (changed, token) => {
        const batch = tokenBatch(2, 8, V);
        const other = { ...batch, tokens: batch.tokens.slice() };
        other.tokens[changed] = token;
        const [before, after] = [
          await model.tokenLosses(parameters, batch),
          await model.tokenLosses(parameters, other),
        ];
        // Loss i is that of token i + 1.
        expect(after.slice(0, changed - 1)).toEqual(before.slice(0, changed - 1));
        expect(after.slice(7)).toEqual(before.slice(7));
      }),
      { numRuns: 20 },
    );
  });

  it('of a row have the same bits at any place of any batch of two or more rows', async () => {
    const shape = { ...TINY_GPT, width: 32, heads: 4, vocabularySize: 128 };
    const model = new LanguageModel(onnx, shape);
    const weights = randomParameters(model.specs);
    const row = randomTokens(17, 128);
    const lossesAt = async (batch: number, place: number) => {
      const tokens = randomTokens(batch * 17, 128, batch);
      tokens.set(row, place * 17);
      const losses = await model.tokenLosses(weights, { batch, length: 17, tokens });
      return losses.slice(place * 16, place * 16 + 16);
    };
    const expected = await lossesAt(2, 0);
    for (const batch of [2, 3, 8]) expect(await lossesAt(batch, batch - 1)).toEqual(expected);
    (await lossesAt(1, 0)).forEach((loss, i) => {
      expect(loss / expected[i]!).toBeCloseTo(1, 5);
    });
  });

  it('and gradients do not depend on how a short passage is padded', async () => {
    const short = tokenBatch(1, 5, V);
    const padded = (token: number): TokenBatch => ({
      batch: 1,
      length: 9,
      tokens: Int32Array.of(...short.tokens, token, token, token, token),
      weights: Float32Array.of(...short.weights!, 0, 0, 0, 0),
    });
    const gradients = [short, padded(0), padded(7)].map(() => new ParameterSet(model.specs));
    const losses = [
      await model.lossAndGradient(parameters, short, gradients[0]!),
      await model.lossAndGradient(parameters, padded(0), gradients[1]!),
      await model.lossAndGradient(parameters, padded(7), gradients[2]!),
    ];
    expect(losses[1]! / losses[0]!).toBeCloseTo(1, 6);
    expect(losses[2]).toBe(losses[1]);
    for (const gradient of gradients.slice(1))
      for (const [name, difference] of Object.entries(relativeDifferences(gradient, gradients[0]!)))
        expect(difference, name).toBeLessThan(1e-5);
  });

  it('stay finite when the model is certain and wrong', async () => {
    const sure = parameters.clone();
    for (let i = 0; i < sure.view('embed_out.weight').length; i++) sure.view('embed_out.weight')[i]! *= 1e4;
    const gradient = new ParameterSet(model.specs);
    const loss = await model.lossAndGradient(sure, tokenBatch(2, 6, V), gradient);
    expect(Number.isFinite(loss)).toBe(true);
    expect(gradient.flat.every(Number.isFinite)).toBe(true);
  });

  it('are refused for tokens outside the vocabulary and rows of one token', async () => {
    const tokens = Int32Array.of(1, 2, V);
    await expect(model.tokenLosses(parameters, { batch: 1, length: 3, tokens })).rejects.toThrow(
      'token 2 is 40, outside the vocabulary of 40',
    );
    const negative = model.tokenLosses(parameters, { batch: 1, length: 3, tokens: Int32Array.of(1, -1, 2) });
    await expect(negative).rejects.toThrow('token 1 is -1, outside the vocabulary of 40');
    await expect(model.tokenLosses(parameters, { batch: 1, length: 1, tokens: Int32Array.of(1) })).rejects.toThrow(
      'at least 2 tokens',
    );
  });
});

describe('the cross-entropy', () => {
  const [d, v] = [6, 9];
  const specsOf = (n: number, d: number, v: number): ParameterSpec[] => [
    { name: 'x', shape: [n, d], init: { std: 1 } },
    { name: 'head', shape: [v, d], init: { std: 1 } },
  ];

  /** By the textbook, in float64: the losses, and the gradient of their weighted sum. */
  function plain(values: ParameterSet, targets: Int32Array, weights: Float32Array) {
    const [x, head] = [values.view('x'), values.view('head')];
    const gradient = values.sibling();
    const [dx, dHead] = [gradient.view('x'), gradient.view('head')];
    const losses = Array.from(targets, (target, i) => {
      const logits = Array.from({ length: v }, (_, token) =>
        x.subarray(i * d, (i + 1) * d).reduce((sum, value, j) => sum + value * head[token * d + j]!, 0),
      );
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      for (const [token, logit] of logits.entries()) {
        const slope = weights[i]! * (Math.exp(logit) / total - (token === target ? 1 : 0));
        for (let j = 0; j < d; j++) {
          dx[i * d + j]! += slope * head[token * d + j]!;
          dHead[token * d + j]! += slope * x[i * d + j]!;
        }
      }
      return Math.log(total) - logits[target]!;
    });
    return { losses, loss: losses.reduce((sum, loss, i) => sum + weights[i]! * loss, 0), gradient };
  }

  it.each([11, 512, 1100])('of %i tokens equals the textbook formula', async (n) => {
    const specs = specsOf(n, d, v);
    const values = randomParameters(specs);
    const [targets, weights] = [randomTokens(n, v), uniforms(n)];
    const expected = plain(values, targets, weights);
    const vectors = { targets: { shape: [n], dtype: 'int32' }, weights: { shape: [n], dtype: 'float32' } } as const;
    for (const runtime of [onnx, reference]) {
      const weighted = await runtime.compile({
        key: `cross-entropy of ${n}`,
        parameters: specs,
        inputs: vectors,
        differentiate: true,
        build: (p, { targets, weights }) => crossEntropy(p.x!, p.head!, targets!, weights!),
      });
      const gradient = values.sibling();
      const [loss] = await weighted.run(values, { targets, weights }, gradient);
      expect(loss! / expected.loss).toBeCloseTo(1, 5);
      for (const difference of Object.values(relativeDifferences(gradient, expected.gradient)))
        expect(difference).toBeLessThan(1e-5);
      const each = await runtime.compile({
        key: `losses of ${n}`,
        parameters: specs,
        inputs: { targets: vectors.targets },
        differentiate: false,
        build: (p, { targets }) => tokenCrossEntropy(p.x!, p.head!, targets!),
      });
      (await each.run(values, { targets })).forEach((value, i) => {
        expect(value).toBeCloseTo(expected.losses[i]!, 5);
      });
    }
  });

  it('takes a vocabulary whose logits of 512 tokens are too many at once', async () => {
    const [n, v] = [480, 70_000];
    const specs = specsOf(n, 1, v);
    const values = randomParameters(specs);
    const targets = randomTokens(n, v);
    const executable = await onnx.compile({
      key: 'a large vocabulary',
      parameters: specs,
      differentiate: false,
      inputs: { targets: { shape: [n], dtype: 'int32' } },
      build: (p, { targets }) => tokenCrossEntropy(p.x!, p.head!, targets!),
    });
    const losses = await executable.run(values, { targets });
    const [x, head] = [values.view('x'), values.view('head')];
    for (const i of [0, 239, 240, n - 1]) {
      const total = head.reduce((sum, value) => sum + Math.exp(x[i]! * value), 0);
      expect(losses[i]).toBeCloseTo(Math.log(total) - x[i]! * head[targets[i]!]!, 4);
    }
  });
});

it('twenty steps of AdamW give the same loss curve on ONNX Runtime and on the tfjs CPU backend', async () => {
  const curve = async (runtime: Runtime) => {
    const model = new LanguageModel(runtime, TINY_GPT);
    const weights = initialParameters(model.specs, 11);
    const gradient = new ParameterSet(model.specs);
    const adamw = new AdamW(weights.flat.length, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 });
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) {
      const batch = { ...tokenBatch(2, 8, V, step % 4), weights: undefined };
      losses.push(await model.lossAndGradient(weights, batch, gradient));
      adamw.apply(weights.flat, gradient.flat, 3e-3);
    }
    return losses;
  };
  const [traced, eager] = [await curve(onnx), await curve(reference)];
  expect(traced.at(-1)).toBeLessThan(traced[0]! - 0.5);
  traced.forEach((loss, step) => {
    expect(loss / eager[step]!, `step ${step}`).toBeCloseTo(1, 4);
  });
});
