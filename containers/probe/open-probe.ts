import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { StagePlan } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import type { Run } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { branchRate } from '../decay-branch.ts';
import { modelCost, openLanguageModel, passagesLossCost } from '../model.ts';
import { loadPassageSet } from '../passages.ts';
import { loadRunCheckpoint } from '../run-checkpoint.ts';
import { DifferenceProbe } from './difference-probe.ts';
import { ExactProbe } from './exact-probe.ts';
import type { InfluenceProbe } from './influence-probe.ts';
import { loadCopies, loadDecayedCheckpoint, readProbeRecord } from './prepared-probe.ts';

/** The configured probe of the checkpoint before the plan's `scorerStage`. */
export async function openProbe(run: Run, corpus: Corpus, { scorerStage }: StagePlan): Promise<InfluenceProbe> {
  const { config } = run.record;
  const model = await openLanguageModel(config, corpus.index);
  if (config.probe.method !== 'exact') {
    const record = await readProbeRecord(run, scorerStage);
    return new DifferenceProbe(model, await loadCopies(run, scorerStage, record));
  }
  const decayed = config.probe.checkpoint === 'decayed';
  const checkpoint = decayed
    ? await loadDecayedCheckpoint(run, scorerStage)
    : await loadRunCheckpoint(run, corpus.index, armLayout(scorerStage - 1, 'main').checkpoint);
  const learningRate = decayed
    ? (await readProbeRecord(run, scorerStage)).learningRate
    : probeLearningRate(config, checkpoint.optimizer.step);
  const reference = new PassageSet(model, await loadPassageSet(run, corpus, config.reference));
  return ExactProbe.create(model, checkpoint, reference, { clipNorm: config.pretrain.clipNorm, learningRate });
}

/**
 * The learning rate of a probe's steps: the trunk's at that step, or the decay branch's last, times the configured scale.
 *
 * @param trunkStep optimizer steps that the trunk has done.
 */
export function probeLearningRate({ probe, pretrain }: RunConfig, trunkStep: number): number {
  const rate =
    probe.checkpoint === 'decayed' && pretrain.decaySteps > 0
      ? branchRate(pretrain, trunkStep)(pretrain.decaySteps)
      : trunkLearningRate(pretrain, trunkStep);
  return probe.learningRateScale * rate;
}

/** Operations to probe one row. */
export async function probeCost(run: Run, corpus: Corpus): Promise<number> {
  const { config } = run.record;
  const row = modelCost(config, corpus.index)(1, corpus.index.sequenceLength);
  if (config.probe.method !== 'exact') return 2 * row;
  return 3 * row + passagesLossCost(config, corpus.index, await loadPassageSet(run, corpus, config.reference));
}
