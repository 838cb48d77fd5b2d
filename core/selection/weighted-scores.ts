/** The scores that add up to a row's utility. */
import type { RunConfig } from '../config/schema.ts';
import { methodTraits, type ScoreKind } from './methods.ts';

/**
 * Hold-out rows, which no model has learned from, for measuring means and deviations: so many give them to about 3 %.
 */
export const CALIBRATION_ROWS = 1024;

/** The method's own score first, then those that are added to it; none where rows are taken at random. */
export function weightedScores(
  score: ScoreKind | undefined,
  { dsirWeight, classifierWeight }: Pick<RunConfig['selection'], 'dsirWeight' | 'classifierWeight'>,
): [ScoreKind, weight: number][] {
  if (!score) return [];
  const beside: [ScoreKind, number][] = [
    ['dsir', dsirWeight],
    ['classifier', classifierWeight],
  ];
  return [[score, 1], ...beside.filter(([kind, weight]) => kind !== score && weight > 0)];
}

/** `influence + classifier`: the method and the scores that count beside its own. */
export function methodLabel({ method, ...weights }: RunConfig['selection']): string {
  const beside = weightedScores(methodTraits(method).score, weights).slice(1);
  return [method, ...beside.map(([kind]) => kind)].join(' + ');
}

/**
 * Whether the scale of each score is measured. It is not for these two on their own: an influence model predicts in
 * standard deviations already, and DSIR's log-weights compete as they are (Xie et al. 2023, section 3).
 */
export function measuresScale(scores: readonly [ScoreKind, number][]): boolean {
  const [first, second] = scores;
  return first !== undefined && (second !== undefined || !['influence-model', 'dsir'].includes(first[0]));
}
