/** Our side of `bench/probe.ts`: `probe.ts FOLDER THREADS`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExactProbe } from '../../containers/probe/exact-probe.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { AdamW } from '../../engine/adamw.ts';
import { LanguageModel } from '../../engine/language-model.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { PassageSet } from '../../engine/passage-set.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { readCase } from '../case-folder.ts';
import type { ProbeSettings } from '../probe.ts';
import { serve } from '../worker.ts';

const [folder, threads] = process.argv.slice(2) as [string, string];
const { shape, length, tokens, weights } = readCase(folder);
const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'));
const passages: Passage[] = read('passages.json');
const settings: ProbeSettings = read('probe.json');

const { pretrain } = parseConfig(
  {
    corpus: { input: ['-'] },
    reference: { input: '-' },
    heldOut: { input: '-' },
    pretrain: { learningRate: settings.learningRate, warmupSteps: 0, clipNorm: settings.clipNorm },
  },
  'the benchmark',
);
const runtime = await createRuntime('onnx', { threads: Number(threads) });
const model = new LanguageModel(runtime, shape);
const parameters = new ParameterSet(model.specs);
parameters.flat.set(weights);
const optimizer = AdamW.beside(parameters.flat, settings.optimizer);
optimizer.v.fill(settings.v);
optimizer.step = settings.step;
const checkpoint = { shape, parameters, optimizer, contextLength: length, state: { step: settings.step, tokens: 0 } };
const document = tokens.subarray(0, length + 1);

async function task(targets: (passage: Passage) => Passage) {
  const reference = new PassageSet(model, passages.map(targets));
  const probe = await ExactProbe.create(model, checkpoint, reference, pretrain);
  return { units: 1, call: async () => (await probe.influence(document)).influence };
}

await serve({
  'last word': await task((passage) => passage),
  'whole passages': await task((passage) => ({ ...passage, firstTarget: 1 })),
});
