/**
 * `write-logits.ts create|read DIRECTORY [ROTARY_FRACTION] [other|llama|other-llama]`: the logits, loss and gradient of a
 * decoder as DIRECTORY/ours.safetensors. `create` first makes a small random model there, with our own checkpoint writer: a
 * GPT-NeoX as Pythia is or with all that others have, or a Llama; `read` takes what is there.
 */
import { DirectoryStore } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import { type DecoderShape, decoderSpecs } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import type { LlamaShape } from '../../engine/decoder/llama.ts';
import { loadModel, saveCheckpoint } from '../../engine/files/checkpoint.ts';
import { encodeSafetensors, type Tensor } from '../../engine/files/safetensors.ts';
import { initialParameters, ParameterSet, sizeOf } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { OTHER_GPT, OTHER_LLAMA } from '../engine/support.ts';
import { logitsOf } from '../engine/whole-outputs.ts';

const OF_KIND: Record<string, Partial<LlamaShape>> = {
  llama: {},
  'other-llama': OTHER_LLAMA,
  'qwen3-llama': { headWidth: 24, queryKeyNorm: true, attentionBias: true },
};

const [mode, directory = '', rotary = '0.25', kind] = process.argv.slice(2);
const store = new DirectoryStore(directory);
if (mode === 'create') await createModel(Number(rotary));
const { shape, parameters } = await loadModel(store, '');
const runtime = await createRuntime('onnx', { threads: 1 });
const model = new LanguageModel(runtime, shape);

const [batch, length] = [3, 33];
const tokens = Int32Array.from({ length: batch * length }, (_, i) => (i * i * 31 + i * 17 + 5) % shape.vocabularySize);
const logits = await logitsOf(runtime, shape, parameters, { batch, length, tokens });
const gradient = new ParameterSet(model.specs);
const loss = await model.lossAndGradient(parameters, { batch, length, tokens }, gradient);
await runtime.dispose();

const tensors: [string, Tensor][] = [
  ['tokens', { shape: [batch, length], data: Float32Array.from(tokens) }],
  ['logits', { shape: [batch, length, shape.vocabularySize], data: logits }],
  ['loss', { shape: [], data: Float32Array.of(loss) }],
  ...model.specs.map(
    ({ name, shape }) => [`gradient.${name}`, { shape, data: gradient.view(name) }] as [string, Tensor],
  ),
];
await store.put('ours.safetensors', encodeSafetensors(tensors));

/** Every parameter random, biases and LayerNorm gains too: a freshly initialised model would hide a mistake in them. */
async function createModel(rotaryFraction: number): Promise<void> {
  const size = {
    layers: 3,
    width: 64,
    heads: 4,
    rotaryBase: rotaryFraction === 0.25 ? 10_000 : 500,
    layerNormEpsilon: 1e-5,
    initializerStd: 0.02,
    vocabularySize: 256,
  };
  const shape: DecoderShape = kind?.endsWith('llama')
    ? { ...size, architecture: 'llama', keyValueHeads: 2, mlpWidth: 96, ...OF_KIND[kind!] }
    : { ...size, rotaryFraction, ...(kind === 'other' && OTHER_GPT) };
  const specs = decoderSpecs(shape).map((spec) => ({ ...spec, init: { std: spec.init === 'ones' ? 1 : 0.2 } }));
  const parameters = initialParameters(specs, 11);
  const optimizer = new AdamW(
    specs.reduce((sum, spec) => sum + sizeOf(spec.shape), 0),
    { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  );
  const state = { step: 0, tokens: 0 };
  await saveCheckpoint(store, '', { shape, parameters, optimizer, state, contextLength: 64, endOfText: 0 });
}
