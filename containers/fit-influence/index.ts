/**
 * Makes the stage's scorer: fits the influence model to the stage's probes if the method has one, judges whether it is
 * good enough to select by, and measures the scale of each part of the score on hold-out rows. The probed rows are
 * split into three disjoint sets: for the fit, for early stopping, and for the reported Spearman.
 */
import type { RunConfig } from '../../core/config/schema.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import { weaknessOf } from '../../core/diagnostics/weakness.ts';
import { RunError } from '../../core/errors.ts';
import type { InfluenceFit, StagePlan } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { pearson, spearman, standardise } from '../../core/metrics/index.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { type Method, methodTraits, type ScoreKind } from '../../core/selection/methods.ts';
import { weightedScores } from '../../core/selection/weighted-scores.ts';
import { putJson } from '../../core/storage/index.ts';
import { fitArchitecture, loadPredictorOf } from '../influence-model/influence-model.ts';
import { type Labelled, probesBefore, readProbes } from '../influence-model/labelled.ts';
import { spearmanInterval } from '../influence-model/spearman-interval.ts';
import { notHeldOut, splitLabelled, unseenBefore } from '../influence-model/split.ts';
import { type Computed, type Job, timed } from '../job.ts';
import { PartialCheckpoints } from '../partial-checkpoints.ts';
import { readProbeRecord, worsenedGuard } from '../probe/prepared-probe.ts';
import { makeScorer } from '../scorer/make-scorer.ts';
import { fitClassifier } from '../text-scores/classifier.ts';
import { fitDsir } from '../text-scores/dsir.ts';

export async function run(job: Job): Promise<void> {
  const { scorer, partialInfluenceModel } = stageLayout(job.stage);
  const { store, record } = job.run;
  const partial = new PartialCheckpoints(store, partialInfluenceModel, record.config.pretrain);
  if ((await store.size(scorer)) === undefined) await timed(job, 'fit-influence', () => fitScorer(job));
  await partial.drop(); // no attempt will resume from these, whichever one wrote them
}

async function fitScorer(job: Job): Promise<Computed> {
  const { config } = job.run.record;
  const corpus = await openRunCorpus(job.run);
  const plan = await readPlan(job.run, job.stage);
  let method: Method = config.selection.method;
  const badLabels = await labelsWeakness(job, plan);
  const weakLabels = badLabels === undefined ? undefined : true;
  let weak = badLabels;
  let flops = 0;
  const kinds = scoredBy(config);
  if (kinds.has('dsir')) await fitDsir(job, corpus, plan);
  if (kinds.has('classifier')) await fitClassifier(job, corpus, plan);
  if (plan.probes > 0) {
    const fitted = await fitInfluenceModel(job, corpus, plan);
    flops += fitted.flops;
    weak ??= weakness(fitted.result, config.influenceModel);
    await putJson(job.run.store, stageLayout(job.stage).fit, { ...fitted.result, weak, weakLabels });
  }
  if (weak !== undefined) {
    const why = plan.probes > 0 ? weaknessOf({ weak, weakLabels })! : `the probe is weak: ${weak}`;
    method = inItsPlace(job, why, REMEDIES[weakLabels ? 'labels' : 'model']) ?? method;
    if (method === 'dsir') await fitDsir(job, corpus, plan);
  }
  const { scorer, flops: measuring } = await makeScorer(job, corpus, plan, { method, weak });
  return {
    flops: flops + measuring,
    finish: () => putJson(job.run.store, stageLayout(job.stage).scorer, scorer),
  };
}

/** The scores that the stage needs: the method's own, those that are added to it, and DSIR's if it is a feature. */
function scoredBy({ selection, influenceModel }: RunConfig): Set<ScoreKind> {
  const { score } = methodTraits(selection.method);
  const kinds = new Set(weightedScores(score, selection).map(([kind]) => kind));
  if (score === 'influence-model' && influenceModel.features.includes('dsir')) kinds.add('dsir');
  return kinds;
}

async function fitInfluenceModel(
  job: Job,
  corpus: Corpus,
  plan: StagePlan,
): Promise<{ result: InfluenceFit; flops: number }> {
  const { store, record } = job.run;
  const { influenceModel: config, seed } = record.config;
  const labelled = await readProbes(job, plan);
  const { seen, earlier } = await probesBefore(job);
  const documentsOf = await documentsByRow(corpus, [...labelled.map(({ row }) => row), ...seen]);
  const sets = splitLabelled(labelled, documentsOf, config, new CounterRandom(seed, STREAM.influenceSplit, job.stage));
  const scale = scaleOf(sets.fit, job.stage);
  const standardised = (labelled: Labelled[]) => ({
    rows: labelled.map(({ row }) => row),
    labels: labelled.map(({ influence }) => (influence - scale.mean) / scale.std),
  });
  const fitSets = {
    fit: standardised(sets.fit),
    validation: standardised(sets.validation),
    earlier: notHeldOut(earlier, sets, documentsOf),
    documentsOf: sets.by === 'document' ? documentsOf : (row: number) => [String(row)],
  };
  const { predictor, flops, fitted, about, save } = await fitArchitecture(job, corpus, fitSets, scale);

  const unseen = unseenBefore(sets.test, seen, sets.by, documentsOf);
  // Weights that continue from the stage before were fitted to its probes, so they are tested on others if there are
  // enough.
  const seenAll = config.warmStart && seen.length > 0 && unseen.length < LEAST_ROWS;
  const tested = config.warmStart && !seenAll ? unseen : sets.test;
  const truth = tested.map(({ influence }) => influence);
  const testRows = tested.map(({ row }) => row);
  const predicted = Array.from(await predictor.predict(testRows));
  const drift = await driftOn(job, corpus, unseen, new Map(testRows.map((row, i) => [row, predicted[i]!])));
  const result: InfluenceFit = {
    format: 'mates-influence-fit/1',
    documents: {
      fit: fitted,
      validation: sets.fit.length + sets.validation.length - fitted,
      test: tested.length,
      earlier: fitSets.earlier.rows.length || undefined,
    },
    splitBy: sets.by,
    mean: scale.mean,
    std: scale.std,
    spearman: spearman(predicted, truth),
    spearmanInterval: spearmanInterval(predicted, truth, testRows.map(documentsOf), { seed, stage: job.stage }),
    pearson: pearson(predicted, truth),
    testedOnSeen: seenAll || undefined,
    ...drift,
    ...about,
  };
  await save(store, stageLayout(job.stage).influenceModel);
  return { result, flops: flops + testRows.length * predictor.cost };
}

/** The documents of each of the rows. */
async function documentsByRow(corpus: Corpus, rows: readonly number[]): Promise<(row: number) => string[]> {
  const distinct = [...new Set(rows)];
  const documents = await corpus.documents(distinct);
  const byRow = new Map(distinct.map((row, i) => [row, documents[i]!]));
  return (row) => byRow.get(row)!;
}

/** @throws RunError when all influences are the same. */
function scaleOf(fit: readonly Labelled[], stage: number): { mean: number; std: number } {
  const { mean, std } = standardise(fit.map(({ influence }) => influence));
  if (std > 0) return { mean, std };
  throw new RunError(
    `stage ${stage}: all ${fit.length} probed influences are ${mean}, so there is nothing to fit. ` +
      'Raise probe.documents or reference.passages, or check that pretrain.learningRate is not 0.',
  );
}

/** The fewest rows for which a correlation is worth stating. */
const LEAST_ROWS = 10;

/**
 * How well this stage's model and the previous stage's predict this stage's labels on the same rows: the drift that makes
 * refitting worthwhile.
 *
 * @param unseen rows that neither model was fitted to; if there are too few, the result is empty.
 * @param fresh this stage's predictions by row.
 */
async function driftOn(
  job: Job,
  corpus: Corpus,
  unseen: readonly Labelled[],
  fresh: ReadonlyMap<number, number>,
): Promise<Pick<InfluenceFit, 'freshSpearman' | 'staleSpearman'>> {
  if (job.stage < 2 || unseen.length < LEAST_ROWS) return {};
  const { batchDocuments } = job.run.record.config.influenceModel;
  const stale = await loadPredictorOf(job, corpus, job.stage - 1, batchDocuments);
  const rows = unseen.map(({ row }) => row);
  const truth = unseen.map(({ influence }) => influence);
  return {
    freshSpearman: spearman(
      rows.map((row) => fresh.get(row)!),
      truth,
    ),
    staleSpearman: spearman(Array.from(await stale.predict(rows)), truth),
  };
}

/** Explains why the influence model should not be trusted to select by; undefined if it can be trusted. */
function weakness(
  { spearman: found, spearmanInterval: [low, high], testedOnSeen }: InfluenceFit,
  { minimumSpearman }: RunConfig['influenceModel'],
): string | undefined {
  const shown = `its Spearman on held-out probes is ${found.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  if (testedOnSeen)
    return `${shown}, on documents that its weights were fitted to at an earlier stage: fewer than ${LEAST_ROWS} others were probed`;
  if (low <= 0 && high >= 0) return `${shown}, and the interval includes zero`;
  if (found < minimumSpearman) return `${shown}, below influenceModel.minimumSpearman ${minimumSpearman}`;
  return undefined;
}

/**
 * Explains why lookahead's labels should not be trusted; undefined if they can be, or if another method gives labels.
 */
async function labelsWeakness(job: Job, { preparesProbe }: StagePlan): Promise<string | undefined> {
  const guard = preparesProbe ? worsenedGuard(await readProbeRecord(job.run, job.stage)) : undefined;
  if (!guard) return undefined;
  const [before, after] = [guard.before.toFixed(3), guard.after.toFixed(3)];
  return (
    `lookahead's steps on the reference passages took the loss of those kept aside from ${before} to ${after}, so its ` +
    'labels come from a worse model'
  );
}

/**
 * All remedies need another run: a run keeps the configuration that it began with, so no stage can be redone with
 * another.
 */
export const REMEDIES = {
  model:
    'In another run, raise probe.documents, give influenceModel.features, or choose another probe.method or influenceModel.architecture.',
  labels: 'In another run, lower probe.learningRateScale, or raise reference.passages.',
};

/**
 * The method that the configuration puts in place of a scorer that should not be trusted.
 *
 * @returns undefined if the stage goes on with the untrusted one.
 * @throws RunError if the run is to stop.
 */
function inItsPlace(job: Job, why: string, remedy: string): Method | undefined {
  const { selection, influenceModel } = job.run.record.config;
  const { whenWeak } = influenceModel;
  const found = `stage ${job.stage}: ${why}`;
  if (whenWeak === 'stop')
    throw new RunError(`${found}. influenceModel.whenWeak is "stop", which ends this run. ${remedy}`);
  const goesOn = whenWeak === 'warn' ? selection.method : whenWeak;
  job.warn(`${found}. The stage selects by ${goesOn}. ${remedy}`);
  return whenWeak === 'warn' ? undefined : whenWeak;
}
