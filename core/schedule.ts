/**
 * The WSD learning-rate schedule (warm-up, stable, decay). The trunk never decays: every reported evaluation is made on
 * a short decay branch of a stage's checkpoint, and the trunk goes on from the undecayed one.
 */
import type { RunConfig } from './config/schema.ts';

export type TrunkSchedule = Pick<RunConfig['pretrain'], 'learningRate' | 'warmupSteps'>;
export type DecaySchedule = Pick<RunConfig['pretrain'], 'learningRate' | 'decaySteps' | 'decayHalvings'>;

/**
 * Learning rate of a trunk step: linear warm-up, then constant.
 *
 * @param step optimizer steps **completed before** this one, counted over all stages: 0 for the very first. The first
 *   step already moves (`learningRate / warmupSteps`), and step `warmupSteps - 1` is the first at the full rate.
 */
export function trunkLearningRate({ learningRate, warmupSteps }: TrunkSchedule, step: number): number {
  return step + 1 < warmupSteps ? (learningRate * (step + 1)) / warmupSteps : learningRate;
}

/**
 * Learning rate of a decay-branch step: it falls exponentially, halving `decayHalvings` times over the branch.
 *
 * @param t the branch's step, counted **from 1**: step `decaySteps` is the last and has `learningRate / 2^decayHalvings`.
 */
export function decayLearningRate({ learningRate, decaySteps, decayHalvings }: DecaySchedule, t: number): number {
  return learningRate * 0.5 ** ((decayHalvings * t) / decaySteps);
}
