import type { Corpus } from '../../core/corpus/corpus.ts';
import { RunError } from '../../core/errors.ts';
import type { StagePlan } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import type { ScoreKind } from '../../core/selection/methods.ts';
import type { ScorerPrecision, ScorerRecord } from '../../core/selection/scorer-record.ts';
import { fullPasses, ROWS_PER_PASS, rowLosses } from '../../engine/decoder/row-passes.ts';
import { loadModel } from '../../engine/files/checkpoint.ts';
import { loadPredictor } from '../influence-model/influence-model.ts';
import type { Job } from '../job.ts';
import { modelCost, openLanguageModel } from '../model.ts';
import { influencesOf } from '../probe/influence-probe.ts';
import { openProbe, probeCost } from '../probe/open-probe.ts';
import { classifierScorer } from '../text-scores/classifier.ts';
import { dsirScorer } from '../text-scores/dsir.ts';
import { inBatches, type RowScorer } from '../text-scores/row-scorer.ts';

/** The scorer of a stage, according to the formula in its record. */
export async function openScorer(job: Job, corpus: Corpus, plan: StagePlan, record: ScorerRecord): Promise<RowScorer> {
  const scorers: RowScorer[] = [];
  for (const { kind } of record.parts) scorers.push(await openPart(job, corpus, plan, kind, record.precision?.used));
  return {
    cost: scorers.reduce((sum, { cost }) => sum + cost, 0),
    utilities: async (rows, onBatch) => {
      const total = new Float64Array(rows.length);
      for (const [i, { weight, mean, std }] of record.parts.entries()) {
        const last = i === record.parts.length - 1;
        const raw = await scorers[i]!.utilities(rows, last ? onBatch : undefined);
        for (let row = 0; row < total.length; row++) total[row]! += (weight * (raw[row]! - mean)) / std;
      }
      return total.map((value) => value / record.std);
    },
  };
}

/**
 * The raw score of one kind.
 *
 * @param precision the influence model's. @default float32
 */
export async function openPart(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
  kind: ScoreKind,
  precision?: ScorerPrecision['used'],
): Promise<RowScorer> {
  switch (kind) {
    case 'influence-model':
      return influenceModelScorer(job, corpus, plan, precision);
    case 'probe':
      return probeScorer(job, corpus, plan);
    case 'loss':
      return lossScorer(job, corpus, plan);
    case 'dsir':
      return dsirScorer(job, corpus, plan);
    case 'classifier':
      return classifierScorer(job, corpus, plan);
  }
}

async function influenceModelScorer(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
  precision?: ScorerPrecision['used'],
): Promise<RowScorer> {
  const exact = await loadPredictor(job, corpus, plan);
  const predictor = precision === 'int8' ? exact.inInt8?.() : exact;
  if (!predictor)
    throw new RunError('the stage scores in 8 bits, which this influence model or engine does not support.');
  return {
    cost: predictor.cost,
    utilities: async (rows, onBatch) => Float64Array.from(await predictor.predict(rows, onBatch), (value) => -value),
  };
}

async function probeScorer(job: Job, corpus: Corpus, plan: StagePlan): Promise<RowScorer> {
  const probe = await openProbe(job.run, corpus, plan);
  const { method } = job.run.record.config.probe;
  return {
    cost: await probeCost(job.run, corpus),
    utilities: (rows, onBatch) =>
      inBatches(rows, probe.rowsAtOnce, onBatch, async (part) => {
        const found = await influencesOf(probe, method, corpus, part);
        return found.map(({ influence }) => -influence);
      }),
  };
}

async function lossScorer(job: Job, corpus: Corpus, plan: StagePlan): Promise<RowScorer> {
  const { config } = job.run.record;
  const model = await openLanguageModel(config, corpus.index);
  const { parameters } = await loadModel(job.run.store, armLayout(plan.scorerStage - 1, 'main').checkpoint);
  const length = corpus.index.sequenceLength;
  return {
    cost: modelCost(config, corpus.index)(1, length),
    utilities: (rows, onBatch) =>
      inBatches(rows, ROWS_PER_PASS, onBatch, async (part) => {
        const tokens = fullPasses(await corpus.tokenRows(part), length);
        const losses = await rowLosses(model, parameters, tokens, length);
        return Array.from(losses.subarray(0, part.length), (loss) => -loss);
      }),
  };
}
