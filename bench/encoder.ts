/** How many documents a second an influence model scores, from tokens to predictions. */
import { CounterRandom } from '../core/random/philox.ts';
import type { BertShape } from '../engine/bert.ts';
import { InfluenceRegressor } from '../engine/influence-regressor.ts';
import { initialParameters } from '../engine/parameters.ts';
import { createRuntime } from '../engine/runtime/runtime.ts';
import { measure } from './measure.ts';
import type { Bench } from './report.ts';

/** The quickstart's encoder from scratch, and the shape of all-MiniLM-L6-v2. */
const ENCODERS: readonly { name: string; shape: BertShape; length: number }[] = [
  { name: 'quickstart', shape: bertShape(2, 64, 4, 2049), length: 128 },
  { name: 'MiniLM-L6', shape: bertShape(6, 384, 12, 30_522), length: 128 },
];
const DOCUMENTS = 32;

export const encoder: Bench = {
  name: 'encoder',
  about: 'scoring with the influence model, documents',
  async run({ threads, seconds }) {
    const rows = [];
    for (const { name, shape, length } of ENCODERS) {
      const runtime = await createRuntime('onnx', { threads });
      const regressor = new InfluenceRegressor(runtime, shape);
      const parameters = initialParameters(regressor.specs, 1);
      const random = new CounterRandom(1, 100);
      const tokens = Int32Array.from({ length: DOCUMENTS * length }, (_, i) => random.below(i, shape.vocabularySize));
      const batch = { documents: DOCUMENTS, chunks: 1, length, tokens, mask: new Float32Array(tokens.length).fill(1) };
      const ours = await measure(() => regressor.predict(parameters, batch), DOCUMENTS, seconds);
      rows.push({ what: `${name} encoder, ${length} tokens a document`, unit: 'documents', ours, peers: [] });
      await runtime.dispose();
    }
    return rows;
  },
};

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
