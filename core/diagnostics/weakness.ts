import type { InfluenceFit } from '../formats.ts';

/** Why a stage's influence model should not be trusted, as a clause; undefined where it may be. */
export function weaknessOf({ weak, weakLabels }: Pick<InfluenceFit, 'weak' | 'weakLabels'>): string | undefined {
  return weak === undefined ? undefined : `${weakLabels ? 'the labels are' : 'the influence model is'} weak: ${weak}`;
}
