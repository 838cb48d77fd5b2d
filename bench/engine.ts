/**
 * Speed of the engine on this machine: `npx tsx bench/engine.ts [threads]`. Training is the forward and backward pass of
 * one batch (no optimizer), forward the token losses alone; median of the repetitions after a warm-up.
 */
import { LanguageModel } from '../engine/language-model.ts';
import { initialParameters, ParameterSet } from '../engine/parameters.ts';
import { createRuntime } from '../engine/runtime/runtime.ts';

const COMMON = { width: 128, heads: 4, rotaryFraction: 0.25, rotaryBase: 10_000, layerNormEpsilon: 1e-5 };
const SHAPES = [
  { layers: 2, vocabularySize: 2048, batch: 8, length: 128 },
  { layers: 4, vocabularySize: 4096, batch: 8, length: 128 },
];
const WARM_UP = 3;
const REPETITIONS = 25;

const threads = Number(process.argv[2] ?? 2);
for (const { layers, vocabularySize, batch, length } of SHAPES) {
  const runtime = await createRuntime('onnx', { threads });
  const model = new LanguageModel(runtime, { ...COMMON, initializerStd: 0.02, layers, vocabularySize });
  const parameters = initialParameters(model.specs, 1);
  const gradient = new ParameterSet(model.specs);
  const tokens = Int32Array.from({ length: batch * length }, (_, i) => (i * 7919) % vocabularySize);
  const rows = { batch, length, tokens };
  const started = performance.now();
  await model.lossAndGradient(parameters, rows, gradient);
  const firstCall = performance.now() - started;
  const training = await tokensPerSecond(() => model.lossAndGradient(parameters, rows, gradient), tokens.length);
  const forward = await tokensPerSecond(() => model.tokenLosses(parameters, rows), tokens.length);
  console.log(
    `L${layers} d${COMMON.width} V${vocabularySize} B${batch} S${length}, ${threads} threads: ` +
      `training ${training}, forward ${forward}; first call ${Math.round(firstCall)} ms`,
  );
  await runtime.dispose();
}

/** Of the wall clock, and of all threads' processor time: the latter holds on a machine that others use too. */
async function tokensPerSecond(step: () => Promise<unknown>, tokens: number): Promise<string> {
  for (let i = 0; i < WARM_UP; i++) await step();
  const times: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let i = 0; i < REPETITIONS; i++) {
    const started = performance.now();
    await step();
    times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const median = times.toSorted((a, b) => a - b)[REPETITIONS >> 1]!;
  const perCpuSecond = (tokens * REPETITIONS) / ((user + system) / 1e6);
  return `${Math.round((tokens / median) * 1000)} tokens/s (${Math.round(perCpuSecond)} per CPU second)`;
}
