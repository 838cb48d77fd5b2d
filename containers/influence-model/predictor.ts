/** The interface of an influence model, whatever its architecture, for the code that fits and uses it. */
import type { InfluenceFit } from '../../core/formats.ts';
import type { Store } from '../../core/storage/index.ts';
import type { DocumentsOf } from './documents.ts';

/** Predicts the influence of rows without measuring it. */
export interface InfluencePredictor {
  /** Influences in standard deviations of the fitted ones; lower is more helpful. A pure function of each row. */
  predict(rows: readonly number[], onBatch?: (done: number) => void): Promise<Float32Array>;
  /** Operations to predict one row. */
  readonly cost: number;
  /** The encoder's width; absent if there is no encoder. */
  readonly width?: number;
  /**
   * The same model with its encoder in 8 bits; undefined or absent if it has no encoder or the engine does not support
   * it.
   */
  inInt8?(): InfluencePredictor | undefined;
}

/** Mean and standard deviation of the fitted influences. */
export interface LabelScale {
  mean: number;
  std: number;
}

export interface FitSets {
  fit: LabelledRows;
  /** For choosing the epoch or the penalty. */
  validation: LabelledRows;
  /** From earlier stages, in their own standard deviations: used for fitting, never for choosing. */
  earlier: LabelledRows;
  /**
   * A row's documents, or the row itself. Rows that have one of these in common are alike, and are held out together.
   */
  documentsOf: DocumentsOf;
}

/** Joins sets of rows, one after the other. */
export const concatenated = (...parts: readonly LabelledRows[]): LabelledRows => ({
  rows: parts.flatMap(({ rows }) => rows),
  labels: parts.flatMap(({ labels }) => labels),
});

export interface LabelledRows {
  rows: number[];
  /** In standard deviations of the fitted labels. */
  labels: number[];
}

/** An architecture that has been fitted. */
export interface Architecture {
  predictor: InfluencePredictor;
  /** Operations that the fit took. */
  flops: number;
  /** How many of the stage's own labels the weights were fitted to. */
  fitted: number;
  /** The fields of `fit.json` that depend on the architecture. */
  about: Pick<InfluenceFit, 'epochs' | 'bestEpoch' | 'penalty'>;
  save(store: Store, prefix: string): Promise<void>;
}
