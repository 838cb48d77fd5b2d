/** `scorer.json`: what the utility of a row is made of at one stage. */
import type { StagePlan } from '../formats.ts';
import { stageLayout } from '../layout.ts';
import { getRecord, type Store } from '../storage/index.ts';
import type { Method, ScoreKind } from './methods.ts';

/**
 * The utility of a row is `sum_i weight_i (raw_i - mean_i) / std_i`, divided by `std`, and rows compete by
 * `utility / temperature` and noise (keys.ts). Means and deviations are those of the raw scores of a sample of hold-out rows, so
 * that they are known before the pool is scored and do not depend on how it is cut. Two kinds of scores are taken as they
 * are, with means of 0 and deviations of 1, when they are alone: an influence model's, which predicts in standard
 * deviations already, and DSIR's log-weights, at a temperature of 1.
 */
export interface ScorerRecord {
  format: 'mates-scorer/1';
  /** The configured method, or what stands in for it where the influence model is weak (`influenceModel.whenWeak`). */
  method: Method;
  /** Empty where rows are taken at random. */
  parts: ScorerPart[];
  std: number;
  /** Replaces `selection.temperature`, which is in standard deviations, when the utilities are not. */
  temperature?: number;
  /** The precision of the influence model's matrix products; absent when float32 was used without comparing. */
  precision?: ScorerPrecision;
  /** Why the influence model or the probe should not be trusted, whether or not `method` still uses it. */
  weak?: string;
}

export interface ScorerPrecision {
  used: 'float32' | 'int8';
  /** Rank correlation of the predictions in 8 bits with those in float32, on `rows` rows of the pool. */
  spearman: number;
  rows: number;
}

export interface ScorerPart {
  kind: ScoreKind;
  weight: number;
  mean: number;
  std: number;
}

/** @throws RunError when the stage's scorer has not been fitted. */
export async function readScorer(store: Store, { stage }: Pick<StagePlan, 'stage'>): Promise<ScorerRecord> {
  return getRecord<ScorerRecord>(
    store,
    stageLayout(stage).scorer,
    'mates-scorer/1',
    "the stage's scorer was not fitted",
  );
}
