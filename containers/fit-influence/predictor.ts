/** What an influence model is to those who fit and use it, whatever its architecture. */
import type { InfluenceFit } from '../../core/formats.ts';
import type { Store } from '../../core/storage/index.ts';
import type { DocumentsOf } from './documents.ts';

/** Predicts the influence of rows without measuring it. */
export interface InfluencePredictor {
  /** In standard deviations of the fitted influences; lower is more helpful. A pure function of each row. */
  predict(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float32Array>;
  /** Operations of predicting one row. */
  readonly cost: number;
  /** Of the encoder; absent where there is none. */
  readonly width?: number;
  /** The same model with its encoder in 8 bits; undefined or absent where there is no encoder, or the engine cannot. */
  inInt8?(): InfluencePredictor | undefined;
}

/** Mean and standard deviation of the fitted influences. */
export interface LabelScale {
  mean: number;
  std: number;
}

export interface FitSets {
  fit: LabelledRows;
  /** To choose by: the epoch, the penalty. */
  validation: LabelledRows;
  /** Of stages before, in their own standard deviations: fitted, but never chosen by. */
  earlier: LabelledRows;
  /** Rows with one of these in common are alike, and are held out together: their documents, or the rows themselves. */
  documentsOf: DocumentsOf;
}

/** Rows and labels one after the other. */
export const concatenated = (...parts: readonly LabelledRows[]): LabelledRows => ({
  rows: parts.flatMap(({ rows }) => rows),
  labels: parts.flatMap(({ labels }) => labels),
});

export interface LabelledRows {
  rows: number[];
  /** In standard deviations of the fitted ones. */
  labels: number[];
}

/** An architecture that has been fitted. */
export interface Architecture {
  predictor: InfluencePredictor;
  /** Operations that the fit took. */
  flops: number;
  /** What `fit.json` tells of it. */
  about: Pick<InfluenceFit, 'epochs' | 'bestEpoch' | 'penalty'>;
  save(store: Store, prefix: string): Promise<void>;
}
