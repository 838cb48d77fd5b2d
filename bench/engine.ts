/** Speed of training, forward passes, oracle probes and influence scoring, on random tokens. */
import { ExactProbe } from '../containers/probe/exact-probe.ts';
import { parseConfig } from '../core/config/load.ts';
import { decoderForwardFlops } from '../core/cost/flops.ts';
import { CounterRandom } from '../core/random/philox.ts';
import { AdamW } from '../engine/adamw.ts';
import type { BertShape } from '../engine/bert.ts';
import type { GptNeoxShape } from '../engine/gpt-neox.ts';
import { InfluenceRegressor } from '../engine/influence-regressor.ts';
import { LanguageModel } from '../engine/language-model.ts';
import { initialParameters, ParameterSet } from '../engine/parameters.ts';
import { PassageSet } from '../engine/passage-set.ts';
import { createRuntime } from '../engine/runtime/runtime.ts';
import { measure, type Rate } from './measure.ts';

export interface DecoderCase {
  name: string;
  shape: GptNeoxShape;
  batch: number;
  length: number;
}

const COMMON = { rotaryFraction: 0.25, rotaryBase: 10_000, layerNormEpsilon: 1e-5, initializerStd: 0.02 };

export const QUICKSTART: DecoderCase = {
  name: 'quickstart',
  shape: { ...COMMON, layers: 2, width: 128, heads: 4, vocabularySize: 2048 },
  batch: 8,
  length: 128,
};

export const DECODERS: readonly DecoderCase[] = [
  QUICKSTART,
  {
    name: 'four layers',
    shape: { ...COMMON, layers: 4, width: 128, heads: 4, vocabularySize: 4096 },
    batch: 8,
    length: 128,
  },
  {
    name: 'six wide layers',
    shape: { ...COMMON, layers: 6, width: 384, heads: 6, vocabularySize: 4096 },
    batch: 8,
    length: 256,
  },
];

/** The quickstart's encoder from scratch, and the shape of all-MiniLM-L6-v2. */
export const ENCODERS: readonly { name: string; shape: BertShape; length: number }[] = [
  { name: 'quickstart', shape: bertShape(2, 64, 4, 2049), length: 128 },
  { name: 'MiniLM-L6', shape: bertShape(6, 384, 12, 30_522), length: 128 },
];

export interface DecoderRates {
  training: Rate;
  forward: Rate;
  /** GFLOP/s that training sustains, to hold against the machine's matrix products. */
  trainingGigaflops: number;
}

/** Tokens a second of a whole optimizer step (forward, backward, AdamW) and of the forward pass alone. */
export async function decoderRates({ shape, batch, length }: DecoderCase, threads: number): Promise<DecoderRates> {
  const runtime = await createRuntime('onnx', { threads });
  const model = new LanguageModel(runtime, shape);
  const parameters = initialParameters(model.specs, 1);
  const gradient = new ParameterSet(model.specs);
  const optimizer = new AdamW(parameters.flat.length, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 });
  const rows = { batch, length, tokens: randomTokens(batch * length, shape.vocabularySize) };
  const step = async () => {
    await model.lossAndGradient(parameters, rows, gradient);
    optimizer.apply(parameters.flat, gradient.flat, 1e-4);
  };
  const training = await measure(step, rows.tokens.length);
  const forward = await measure(() => model.tokenLosses(parameters, rows), rows.tokens.length);
  await runtime.dispose();
  const flops = 3 * decoderForwardFlops(shape, length);
  return { training, forward, trainingGigaflops: (training.perSecond * flops) / 1e9 };
}

/** Exact probes a second, each against `passages` whole passages of 100 tokens. */
export async function probeRate({ shape, length }: DecoderCase, passages: number, threads: number): Promise<Rate> {
  const runtime = await createRuntime('onnx', { threads });
  const model = new LanguageModel(runtime, shape);
  const parameters = initialParameters(model.specs, 1);
  const { pretrain } = parseConfig(
    { corpus: { input: ['-'] }, reference: { input: '-' }, heldOut: { input: '-' } },
    'the benchmark',
  );
  const optimizer = new AdamW(parameters.flat.length, pretrain);
  const reference = Array.from({ length: passages }, (_, i) => ({
    tokens: Array.from(randomTokens(100, shape.vocabularySize, i + 1)),
    firstTarget: 1,
  }));
  const checkpoint = { shape, parameters, optimizer, contextLength: length, state: { step: 0, tokens: 0 } };
  const probe = await ExactProbe.create(model, checkpoint, new PassageSet(model, reference), pretrain);
  const document = randomTokens(length, shape.vocabularySize, 99);
  const rate = await measure(() => probe.influence(document), 1);
  await runtime.dispose();
  return rate;
}

/** Documents a second that an influence model of this shape scores, from tokens to predictions. */
export async function scoringRate(shape: BertShape, length: number, threads: number): Promise<Rate> {
  const runtime = await createRuntime('onnx', { threads });
  const regressor = new InfluenceRegressor(runtime, shape);
  const parameters = initialParameters(regressor.specs, 1);
  const documents = 32;
  const tokens = randomTokens(documents * length, shape.vocabularySize);
  const batch = { documents, chunks: 1, length, tokens, mask: new Float32Array(tokens.length).fill(1) };
  const rate = await measure(() => regressor.predict(parameters, batch), documents);
  await runtime.dispose();
  return rate;
}

/** Squared uniforms: some tokens are frequent, as in text. */
function randomTokens(count: number, vocabularySize: number, stream = 0): Int32Array {
  const random = new CounterRandom(1, 100, stream);
  return Int32Array.from({ length: count }, (_, i) => Math.floor(random.uniform(i) ** 2 * vocabularySize));
}

function bertShape(layers: number, width: number, heads: number, vocabularySize: number): BertShape {
  return {
    layers,
    width,
    heads,
    intermediateWidth: 4 * width,
    vocabularySize,
    maxPositions: 512,
    typeVocabularySize: 2,
    layerNormEpsilon: 1e-12,
    initializerStd: 0.02,
  };
}
