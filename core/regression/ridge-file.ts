import type { NgramSpec } from '../features/ngrams.ts';
import type { LinearModel, RidgeModel } from './ridge.ts';

/** `ridge.json`, and `classifier.json`. */
export interface RidgeFile {
  format: 'mates-ridge/1';
  /** Absent where only features are fitted. */
  ngrams?: NgramSpec;
  penalty: number;
  relativePenalties: Record<string, number>;
  intercept: number;
  /** A weight for each bucket. */
  weights?: number[];
  /** Weights of the features' columns, by name. */
  features: Record<string, number[]>;
}

export function ridgeFile({ intercept, ngrams: weights, dense, chosen }: RidgeModel, ngrams?: NgramSpec): RidgeFile {
  return {
    format: 'mates-ridge/1',
    ngrams,
    ...chosen,
    intercept,
    weights: weights && Array.from(weights),
    features: Object.fromEntries(Object.entries(dense).map(([name, values]) => [name, Array.from(values)])),
  };
}

export function ridgeModel({ intercept, weights, features }: RidgeFile): LinearModel {
  return {
    intercept,
    ngrams: weights && Float64Array.from(weights),
    dense: Object.fromEntries(Object.entries(features).map(([name, values]) => [name, Float64Array.from(values)])),
  };
}
