import { describe, expect, it } from 'vitest';
import type { DecoderShape } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime, type RuntimeName } from '../../engine/runtime/runtime.ts';
import { accumulated, stackName } from '../../engine/trace/accumulate.ts';
import { Graph } from '../../engine/trace/graph.ts';
import { randomParameters, TINY_GPT, TINY_LLAMA, tokenBatch } from './support.ts';

const [ROWS, LENGTH] = [6, 9];
const batch = tokenBatch(ROWS, LENGTH, TINY_GPT.vocabularySize);

async function gradientIn(name: RuntimeName, microBatches: number, shape: DecoderShape = TINY_GPT) {
  const model = new LanguageModel(await createRuntime(name, { threads: 1 }), shape);
  const gradient = new ParameterSet(model.specs);
  gradient.flat.fill(Number.NaN);
  const loss = await model.lossAndGradient(randomParameters(model.specs), { ...batch, microBatches }, gradient);
  return { loss, gradient: gradient.flat };
}

/** Micro-batches one run at a time, their gradients added in float32. */
async function gradientByRuns(name: RuntimeName, microBatches: number) {
  const model = new LanguageModel(await createRuntime(name, { threads: 1 }), TINY_GPT);
  const parameters = randomParameters(model.specs);
  const [sum, part] = [new ParameterSet(model.specs), new ParameterSet(model.specs)];
  const rows = ROWS / microBatches;
  let loss = 0;
  for (let i = 0; i < microBatches; i++) {
    const tokens = batch.tokens.subarray(i * rows * LENGTH, (i + 1) * rows * LENGTH);
    const weights = batch.weights!.subarray(i * rows * (LENGTH - 1), (i + 1) * rows * (LENGTH - 1));
    loss = Math.fround(
      loss + (await model.lossAndGradient(parameters, { batch: rows, length: LENGTH, tokens, weights }, part)),
    );
    for (let j = 0; j < sum.flat.length; j++) sum.flat[j] = sum.flat[j]! + part.flat[j]!;
  }
  return { loss, gradient: sum.flat };
}

/** Largest difference, relative to the largest gradient. The ONNX engine traces the body of a loop in whole operators. */
const ROUNDING = { onnx: 1e-6, 'tfjs-cpu': 0 };

const largestOf = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describe.each(['onnx', 'tfjs-cpu'] as const)('gradient accumulation in one run on %s', (name) => {
  it.each([2, 3, 6])('over %i micro-batches gives what as many runs give', async (microBatches) => {
    const [inOne, byRuns] = [await gradientIn(name, microBatches), await gradientByRuns(name, microBatches)];
    expect(Math.abs(inOne.loss / byRuns.loss - 1)).toBeLessThanOrEqual(ROUNDING[name]);
    const differences = inOne.gradient.map((value, i) => value - byRuns.gradient[i]!);
    expect(largestOf(differences)).toBeLessThanOrEqual(ROUNDING[name] * largestOf(byRuns.gradient));
  });

  it.each([TINY_GPT, TINY_LLAMA])('is the gradient of the whole batch, to rounding', async (shape) => {
    const [inParts, whole] = [await gradientIn(name, 3, shape), await gradientIn(name, 1, shape)];
    expect(Math.abs(inParts.loss / whole.loss - 1)).toBeLessThan(1e-6);
    const largest = largestOf(whole.gradient);
    whole.gradient.forEach((g, i) => {
      expect(Math.abs(inParts.gradient[i]! - g)).toBeLessThan(1e-5 * largest);
    });
  });
});

it('refuses rows that are no multiple of the micro-batches', async () => {
  await expect(gradientIn('onnx', 4)).rejects.toThrow('6 rows are no multiple of 4 micro-batches');
});

it('computes before the loop what depends on parameters alone, and nothing else', () => {
  const graph = new Graph();
  const [w, x] = [graph.input('w', [2], 'float32'), graph.input('x', [2], 'float32')];
  const ofParameters = graph.op('Neg', [graph.op('Abs', [w], [2])], [2]);
  const ofNothing = graph.op('Expand', [graph.float(0), graph.integers([2])], [2]);
  graph.output('y', graph.op('Add', [graph.op('Mul', [x, ofParameters], [2]), ofNothing], [2]));
  const { inputs, nodes } = accumulated(graph.live(), 5, ({ name }) => name === 'w');
  expect(inputs.map(({ name, shape }) => [name, shape])).toEqual([
    ['w', [2]],
    [stackName('x'), [5, 2]],
  ]);
  expect(nodes.map(({ op }) => op)).toEqual(['Abs', 'Neg', 'Loop']);
  const { graph: body } = nodes[2]!.attributes.body as { graph: Graph };
  expect(body.nodes.map(({ op }) => op)).toEqual(['Gather', 'Expand', 'Mul', 'Add', 'Add']);
});
