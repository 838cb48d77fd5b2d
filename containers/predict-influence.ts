import type { ParameterSet } from '../engine/parameters.ts';
import type { InfluenceModel } from './influence-model.ts';

/**
 * Predicted influence of rows, in standard deviations of the fitted oracle; lower is more helpful.
 */
export async function predictInfluence(
  model: InfluenceModel,
  parameters: ParameterSet,
  rows: readonly number[],
  batchDocuments: number,
): Promise<Float32Array> {
  const predicted = new Float32Array(rows.length);
  for (let first = 0; first < rows.length; first += batchDocuments) {
    const part = rows.slice(first, first + batchDocuments);
    const values = await model.regressor.predict(parameters, await model.encode(part, batchDocuments));
    predicted.set(values.subarray(0, part.length), first);
  }
  return predicted;
}
