/** Our side of `bench/probe.ts`: `probe.ts FOLDER THREADS`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExactProbe } from '../../containers/probe/exact-probe.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { AdamW } from '../../engine/adamw.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { readCase, readWeights } from '../case-folder.ts';
import type { ProbeSettings } from '../probe.ts';
import { serve } from '../worker.ts';

const [folder, threads] = process.argv.slice(2) as [string, string];
const { shape, length, tokens } = readCase(folder);
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
readWeights(folder, parameters);
const optimizer = AdamW.beside(parameters.flat, settings.optimizer);
optimizer.v.fill(settings.v);
optimizer.step = settings.step;
const checkpoint = { shape, parameters, optimizer, contextLength: length, state: { step: settings.step, tokens: 0 } };
const document = tokens.subarray(0, length + 1);

function task(targets: (passage: Passage) => Passage) {
  let probe: ExactProbe | undefined;
  const call = async () => {
    probe ??= await ExactProbe.create(model, checkpoint, new PassageSet(model, passages.map(targets)), pretrain);
    return (await probe.influence(document)).influence;
  };
  return { units: 1, call };
}

await serve({
  'last word': task((passage) => passage),
  'whole passages': task((passage) => ({ ...passage, firstTarget: 1 })),
});
