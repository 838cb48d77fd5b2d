/** Our side of `bench/decoder.ts`: `decoder.ts FOLDER THREADS`. */
import { AdamW, clipCoefficient, globalNorm } from '../../engine/adamw.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { readCase, readWeights } from '../case-folder.ts';
import { serve } from '../worker.ts';

const [folder, threads] = process.argv.slice(2) as [string, string];
const { shape, batch, length, tokens } = readCase(folder);
const runtime = await createRuntime('onnx', { threads: Number(threads) });
const model = new LanguageModel(runtime, shape);
const parameters = new ParameterSet(model.specs);
readWeights(folder, parameters);
const gradient = parameters.sibling();
const optimizer = AdamW.beside(parameters.flat, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 });
const rows = { batch, length: length + 1, tokens };

await serve({
  forward: {
    units: batch * length,
    call: async () => {
      const losses = await model.tokenLosses(parameters, rows);
      return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    },
  },
  train: {
    units: batch * length,
    call: async () => {
      const loss = await model.lossAndGradient(parameters, rows, gradient);
      const clip = clipCoefficient(globalNorm(gradient.flat), 1);
      optimizer.apply(parameters.flat, gradient.flat, 1e-4, clip);
      return loss;
    },
  },
});
