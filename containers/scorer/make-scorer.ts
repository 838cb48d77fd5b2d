import type { Corpus } from '../../core/corpus/corpus.ts';
import type { StagePlan } from '../../core/formats.ts';
import { standardise } from '../../core/metrics/index.ts';
import { controlRows } from '../../core/plan/hold-out.ts';
import { STREAM } from '../../core/random/philox.ts';
import { type Method, methodTraits, type ScoreKind } from '../../core/selection/methods.ts';
import {
  readScorer,
  type ScorerPart,
  type ScorerPrecision,
  type ScorerRecord,
} from '../../core/selection/scorer-record.ts';
import { CALIBRATION_ROWS, measuresScale, weightedScores } from '../../core/selection/weighted-scores.ts';
import { holdOut, sampleHoldOut } from '../hold-out.ts';
import { learnedBefore, readProbes } from '../influence-model/labelled.ts';
import type { Job } from '../job.ts';
import { classifierSample } from '../text-scores/classifier.ts';
import { openPart } from './open-scorer.ts';
import { choosePrecision } from './precision.ts';

/**
 * Makes the stage's `scorer.json`.
 *
 * @param chosen the method, which may differ from the configured one, and why the configured one should not be trusted.
 * @returns the scorer, and the operations that comparing precisions and measuring the parts' scales took.
 */
export async function makeScorer(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
  { method, weak }: { method: Method; weak?: string },
): Promise<{ scorer: ScorerRecord; flops: number }> {
  if (plan.scorerStage !== job.stage)
    return { scorer: await readScorer(job.run.store, { stage: plan.scorerStage }), flops: 0 };
  const { score } = methodTraits(method);
  const kinds = weightedScores(score, job.run.record.config.selection);
  const { precision, flops: compared } =
    score === 'influence-model' ? await choosePrecision(job, corpus, plan) : { flops: 0 };
  const { parts, std, temperature, flops } = await calibrated(job, corpus, plan, kinds, precision?.used);
  return {
    scorer: { format: 'mates-scorer/1', method, parts, std, temperature, precision, weak },
    flops: compared + flops,
  };
}

/** The parts, and the number that their sum is divided by; see {@link ScorerRecord}. */
async function calibrated(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
  kinds: [ScoreKind, number][],
  precision?: ScorerPrecision['used'],
): Promise<Pick<ScorerRecord, 'parts' | 'std' | 'temperature'> & { flops: number }> {
  if (!measuresScale(kinds)) {
    const parts = kinds.map(([kind, weight]): ScorerPart => ({ kind, weight, mean: 0, std: 1 }));
    // Log-weight + Gumbel resamples by the weights (Xie et al. 2023, section 3).
    return { parts, std: 1, temperature: parts[0]?.kind === 'dsir' ? 1 : undefined, flops: 0 };
  }

  const learned = new Set<number>();
  for (const [kind] of kinds) for (const row of await learnedRows(job, corpus, plan, kind)) learned.add(row);
  const rows = await sampleHoldOut(job, corpus, plan, STREAM.calibration, CALIBRATION_ROWS, { without: learned });
  const parts: ScorerPart[] = [];
  const total = new Float64Array(rows.length);
  let flops = 0;
  for (const [i, [kind, weight]] of kinds.entries()) {
    const scorer = await openPart(job, corpus, plan, kind, precision);
    const raw = await scorer.utilities(rows, (done) =>
      job.progress({
        step: 'Measure the scale of the scores',
        done: i * rows.length + done,
        total: kinds.length * rows.length,
        unit: 'rows',
      }),
    );
    const { mean, std } = scaleOf(raw);
    parts.push({ kind, weight, mean, std });
    for (let i = 0; i < total.length; i++) total[i]! += (weight * (raw[i]! - mean)) / std;
    flops += rows.length * scorer.cost;
  }
  return { parts, std: kinds.length === 1 ? 1 : scaleOf(total).std, flops };
}

/** Hold-out rows that a scorer has been fitted to, so that their scores are not representative of the pool's. */
async function learnedRows(job: Job, corpus: Corpus, plan: StagePlan, score: ScoreKind): Promise<Set<number>> {
  const { probe, seed } = job.run.record.config;
  if (score === 'classifier') return new Set(await classifierSample(job, corpus, plan));
  if (score === 'influence-model') {
    const labelled = await readProbes(job, plan);
    return new Set([...labelled.map(({ row }) => row), ...(await learnedBefore(job))]);
  }
  if (score !== 'probe' || probe.method !== 'lookahead') return new Set();
  const { probeable } = await holdOut(job.run, corpus, plan);
  const { steps, batchRows } = probe.lookahead;
  return new Set(controlRows(probeable, plan.probes, steps * batchRows, seed, job.stage));
}

/** Scores that are all the same get the deviation 1; they then add nothing. */
function scaleOf(values: ArrayLike<number>): { mean: number; std: number } {
  const { mean, std } = standardise(Array.from(values));
  return { mean, std: std > 0 ? std : 1 };
}
