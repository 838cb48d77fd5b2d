/** Our side of `bench/scoring.ts`: `scoring.ts FOLDER THREADS LONGEST`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DirectoryStore } from '../../core/storage/index.ts';
import { readWordPieceFiles, wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import { InfluenceRegressor } from '../../engine/bert/influence-regressor.ts';
import { CPU_BATCH_TOKENS, InfluenceScorer } from '../../engine/bert/influence-scorer.ts';
import { loadInfluenceModel } from '../../engine/files/bert-checkpoint.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { serve } from '../worker.ts';

const [folder, threads, longest] = process.argv.slice(2) as [string, string, string];
const texts: string[] = JSON.parse(readFileSync(join(folder, 'texts.json'), 'utf8'));
const store = new DirectoryStore(join(folder, 'model'));
const input = wordPieceEncoderInput(await readWordPieceFiles(store), { chunks: 1, chunkTokens: Number(longest) });
const pieces = () => texts.map((text) => input.pieces({ text }));
const limits = { longest: Number(longest), batchTokens: CPU_BATCH_TOKENS };

let scorer: InfluenceScorer | undefined;
const score = async (precision: 'float32' | 'int8') => {
  if (!scorer) {
    const { shape, parameters } = await loadInfluenceModel(store, '');
    const regressor = new InfluenceRegressor(await createRuntime('onnx', { threads: Number(threads) }), shape);
    scorer = new InfluenceScorer(regressor, precision === 'int8' ? regressor.inInt8(parameters) : parameters, limits);
  }
  return Array.from(await scorer.score(pieces()));
};

await serve({
  tokenize: { units: texts.length, call: async () => pieces().flat().length },
  float32: { units: texts.length, call: () => score('float32') },
  int8: { units: texts.length, call: () => score('int8') },
});
