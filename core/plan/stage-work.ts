import type { RunConfig } from '../config/schema.ts';
import type { Arm } from '../formats.ts';
import { methodTraits, type ScoreKind } from '../selection/methods.ts';

/**
 * What a stage does, as far as the configuration alone determines it: plans and cost estimates both start from this.
 */
export interface StageWork {
  /** What the main arm's rows are scored by; undefined where they are taken at random. */
  score?: ScoreKind;
  /** Whether what scores the rows is made at the first scored stage and used at all later ones. */
  once: boolean;
  /** Hold-out rows to probe. */
  probes: number;
  /** Whether a checkpoint or two must be trained before anything is probed. */
  preparesProbe: boolean;
  arms: Arm[];
}

/** Whether any stage probes by lookahead. */
export function probesByLookahead({ probe, selection, pretrain }: RunConfig): boolean {
  const { score } = methodTraits(selection.method);
  return probe.method === 'lookahead' && pretrain.stages > 1 && (score === 'influence-model' || score === 'probe');
}

export function stageWork({ control, probe, selection }: RunConfig, stage: number): StageWork {
  const { score: kind, once = false } = methodTraits(selection.method);
  const score = stage > 0 ? kind : undefined;
  // What is measured once is measured before the first scored stage.
  const measures = score !== undefined && (stage === 1 || !once);
  const probes = measures && score === 'influence-model' ? probe.documents : 0;
  const probesTrunkDirectly = probe.method === 'exact' && probe.checkpoint === 'trunk';
  const compared = control === 'random' && stage > 0 && selection.method !== 'random';
  return {
    score,
    once,
    probes,
    preparesProbe: measures && (probes > 0 || score === 'probe') && !probesTrunkDirectly,
    arms: compared ? ['main', 'control'] : ['main'],
  };
}
