/** Influence models of each architecture, fitted to labels that follow from something a model can find. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { holdOut } from '../../containers/hold-out.ts';
import { openFeatures } from '../../containers/influence-model/features.ts';
import { loadPredictorOf } from '../../containers/influence-model/influence-model.ts';
import { readProbes } from '../../containers/influence-model/labelled.ts';
import { openScorer } from '../../containers/scorer/open-scorer.ts';
import { classifierSample, classifierScorer } from '../../containers/text-scores/classifier.ts';
import { loadDsir } from '../../containers/text-scores/dsir.ts';
import { InterruptedError } from '../../core/errors.ts';
import type { InfluenceFit } from '../../core/formats.ts';
import { stageLayout } from '../../core/layout.ts';
import { standardise } from '../../core/metrics/index.ts';
import { readParquet, writeParquet } from '../../core/parquet.ts';
import { scoreItems } from '../../core/plan/stage-plan.ts';
import { openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { readScoreIndex } from '../../core/selection/scores.ts';
import { getJson } from '../../core/storage/index.ts';
import { filesOf, TinyRun, tinyConfig } from './support.ts';

type Over = Record<string, Record<string, unknown>>;

afterEach(() => vi.restoreAllMocks());

/** A run up to the probes of stage 1. */
async function probed(over: Over): Promise<TinyRun> {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const tiny = await TinyRun.create(tinyConfig({ ...over, probe: { documents: 60, jobs: 1, method: 'directional' } }));
  await tiny.prepare();
  await tiny.stage(0);
  const plan = await tiny.plan(1);
  if (plan.preparesProbe) await (await import('../../containers/prepare-probe/index.ts')).run(tiny.job(1));
  await tiny.probe(1, { index: 0, begin: 0, end: plan.probes });
  return tiny;
}

const fitStage = async (tiny: TinyRun) => (await import('../../containers/fit-influence/index.ts')).run(tiny.job(1));

async function fittedScorer(tiny: TinyRun) {
  await fitStage(tiny);
  const plan = await readPlan(tiny.run, 1);
  return { plan, record: await readScorer(tiny.store, plan), corpus: await openRunCorpus(tiny.run) };
}

/** Replaces the probed influences with made-up ones. */
async function label(tiny: TinyRun, influenceOf: (rows: number[]) => Promise<ArrayLike<number>>): Promise<number[]> {
  const key = stageLayout(1).probe(0);
  const { row } = await readParquet({ store: tiny.store, key }, { row: 'INT64' });
  const rows = Array.from(row);
  await tiny.store.put(
    key,
    writeParquet([
      { name: 'row', type: 'INT64', data: rows },
      { name: 'influence', type: 'DOUBLE', data: Array.from(await influenceOf(rows)) },
    ]),
  );
  return rows;
}

const architectures: [string, Over][] = [
  ['ngram', { influenceModel: { architecture: 'ngram', buckets: 2048 } }],
  ['ngram with features', { influenceModel: { architecture: 'ngram', features: ['dsir', 'loss', 'hidden'] } }],
  ['bert with features', { influenceModel: { features: ['loss', 'hidden'] } }],
];

describe.each(architectures)('%s', (_, over) => {
  it('predicts the same when it is loaded again, for any rows together and in any order', async () => {
    const tiny = await probed(over);
    await fitStage(tiny);
    const corpus = await openRunCorpus(tiny.run);
    const rows = Array.from({ length: 24 }, (_, i) => 2 * i);
    const load = () => loadPredictorOf(tiny.job(1), corpus, 1, 8);
    const all = await (await load()).predict(rows);
    expect(new Set(all).size).toBeGreaterThan(12);
    const turned = await (await load()).predict([...rows].reverse());
    expect(Array.from(turned).reverse()).toEqual(Array.from(all));
    expect(Array.from(await (await load()).predict(rows.slice(3, 7)))).toEqual(Array.from(all.slice(3, 7)));
  });
});

it('a fit that is stopped at any step resumes to the same bytes, and keeps no partial checkpoint', async () => {
  const { partialInfluenceModel, scorer } = stageLayout(1);
  const tiny = await probed({ influenceModel: { architecture: 'bert', epochs: 2, batchDocuments: 16 } });
  const { run } = await import('../../containers/fit-influence/index.ts');
  await run(tiny.job(1));
  const whole = await filesOf(tiny.store, 'stages/1/');
  const { epochs } = await getJson<InfluenceFit>(tiny.store, stageLayout(1).fit);
  expect(epochs).toHaveLength(2);
  let reports = 0;
  await tiny.store.delete(scorer);
  await run(tiny.job(1, { progress: ({ step }) => void (step === 'Fit the influence model' && reports++) }));
  expect(reports).toBeGreaterThan(4);
  for (const stop of [1, reports / 2, reports - 1]) {
    for (const key of [...(await tiny.store.list('stages/1/influence-model/')), scorer]) await tiny.store.delete(key);
    const controller = new AbortController();
    let seen = 0;
    const stopped = { signal: controller.signal, progress: () => void (++seen === stop && controller.abort()) };
    await expect(run(tiny.job(1, stopped))).rejects.toThrow(InterruptedError);
    const marks = (await tiny.store.list(partialInfluenceModel)).filter((key) => key.endsWith('/training.json'));
    expect(marks).toEqual([`${partialInfluenceModel}${String(stop).padStart(9, '0')}/training.json`]);
    await run(tiny.job(1));
    expect(await filesOf(tiny.store, 'stages/1/')).toEqual(whole);
  }
});

it('finds influences that are linear in a feature', async () => {
  for (const architecture of ['ngram', 'bert']) {
    const tiny = await probed({ influenceModel: { architecture, features: ['loss'] } });
    const corpus = await openRunCorpus(tiny.run);
    const features = await openFeatures(tiny.job(1), corpus, 1);
    await label(tiny, async (rows) => (await features.blocks(rows))[0]!.values.map((loss) => 2 * loss - 3));
    await fitStage(tiny);
    const { spearman } = await getJson<InfluenceFit>(tiny.store, stageLayout(1).fit);
    expect(spearman, architecture).toBeGreaterThan(0.8);
  }
});

it('the n-gram model finds influences that follow from tokens', async () => {
  const tiny = await probed({ influenceModel: { architecture: 'ngram' } });
  const corpus = await openRunCorpus(tiny.run);
  const { sequenceLength: length } = corpus.index;
  const common = async (rows: number[]) => {
    const tokens = await corpus.tokenRows(rows);
    const counts = new Uint32Array(corpus.index.tokenizer.vocabularySize);
    for (const id of tokens) counts[id]!++;
    const most = counts.indexOf(Math.max(...counts));
    return rows.map((_, i) => tokens.subarray(i * length, (i + 1) * length).filter((id) => id === most).length);
  };
  await label(tiny, common);
  await fitStage(tiny);
  const { spearman, penalty } = await getJson<InfluenceFit>(tiny.store, stageLayout(1).fit);
  expect(spearman).toBeGreaterThan(0.5);
  expect(penalty).toBeGreaterThan(0);
});

describe('probes of earlier stages', () => {
  /** A run whose stages 1 and 2 are fitted; stage 2 probes some documents of stage 1 again. */
  async function fitted(influenceModel: Record<string, unknown>, selection: Record<string, unknown> = {}) {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const tiny = await TinyRun.create(
      tinyConfig({
        pretrain: { ...tinyConfig().pretrain, stages: 3 },
        pools: { holdOut: 0.5 }, // so that each stage probes some documents that the stage before did not
        probe: { documents: 40, jobs: 1, method: 'directional' },
        influenceModel,
        selection,
      }),
    );
    await tiny.prepare();
    for (const stage of [0, 1, 2]) await tiny.stage(stage);
    const fits = [1, 2].map((stage) => getJson<InfluenceFit>(tiny.store, stageLayout(stage).fit));
    return { tiny, fits: await Promise.all(fits) };
  }

  it.each(architectures)('are fitted by %s as well, and the model loads again', async (_, { influenceModel }) => {
    const { tiny, fits } = await fitted({ ...influenceModel, earlierStages: 5 });
    expect(fits[0]!.documents.earlier).toBeUndefined(); // there is no earlier stage
    expect(fits[1]!.documents.earlier).toBeGreaterThan(10);
    expect(fits[1]!.documents.earlier).toBeLessThan(40);
    const corpus = await openRunCorpus(tiny.run);
    const predicted = await (await loadPredictorOf(tiny.job(2), corpus, 2, 8)).predict([0, 1, 2]);
    expect(new Set(predicted).size).toBe(3);
  });

  it('are known to a model that goes on from the stage before, so it is tested on others', async () => {
    const { tiny, fits } = await fitted({ warmStart: true, learningRate: 1e-12, testFraction: 0.6 });
    const corpus = await openRunCorpus(tiny.run);
    const [before, after] = await Promise.all(
      [1, 2].map(async (stage) => (await loadPredictorOf(tiny.job(stage), corpus, stage, 8)).predict([0, 9, 50])),
    );
    for (const [i, value] of before!.entries()) expect(after![i]).toBeCloseTo(value, 5); // it has learned nothing since
    expect(fits[0]!.documents.test).toBe(24);
    expect(fits[1]!.documents.test).toBeLessThan(24);
    expect(fits[1]!.documents.test).toBeGreaterThanOrEqual(10);
    // The earlier model is tested on the same rows, and predicts the same.
    expect(fits[0]!.staleSpearman).toBeUndefined();
    expect(fits[1]!.freshSpearman).toBe(fits[1]!.spearman);
    expect(fits[1]!.staleSpearman).toBeCloseTo(fits[1]!.spearman, 2);
  });

  it('leave too few others to test on, which makes the model a weak one', async () => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { fits } = await fitted({ warmStart: true, testFraction: 0.1 });
    expect(fits[0]!.testedOnSeen).toBeUndefined();
    expect(fits[1]).toMatchObject({
      testedOnSeen: true,
      weak: expect.stringMatching(/fitted to at an earlier stage: fewer than 10 others/),
    });
  });

  it.each([
    ['fitted again', { architecture: 'ngram', earlierStages: 5 }],
    ['what the weights go on from', { warmStart: true }],
  ])('do not set the scale of the scores where they are %s', async (_, influenceModel) => {
    const { tiny } = await fitted(influenceModel, { dsirWeight: 0.5 });
    const corpus = await openRunCorpus(tiny.run);
    const [before, plan] = [await readPlan(tiny.run, 1), await readPlan(tiny.run, 2)];
    const labelled = [...(await readProbes(tiny.job(1), before)), ...(await readProbes(tiny.job(2), plan))];
    const known = new Set(labelled.map(({ row }) => row));
    expect(known.size).toBeGreaterThan(plan.probes); // of both stages
    const others = [...(await holdOut(tiny.run, corpus, plan)).probeable].filter((row) => !known.has(row));
    const predicted = await (await loadPredictorOf(tiny.job(2), corpus, 2, 8)).predict(others);
    const { mean, std } = standardise(Array.from(predicted, (influence) => -influence));
    const [part] = (await readScorer(tiny.store, plan)).parts;
    expect(part).toMatchObject({ kind: 'influence-model', mean: expect.closeTo(mean, 9), std: expect.closeTo(std, 9) });
  });

  it('are left out unless they are asked for', async () => {
    const { fits } = await fitted({ architecture: 'ngram' });
    expect(fits[1]!.documents.earlier).toBeUndefined();
  });
});

it('adds a quality classifier, whose scale is measured on rows that it has not been fitted to', async () => {
  const selection = { classifierWeight: 2, dsirWeight: 0.5 };
  const tiny = await probed({ selection, influenceModel: { architecture: 'ngram' }, pools: { holdOut: 0.4 } });
  const { plan, record, corpus } = await fittedScorer(tiny);
  expect(record.parts.map(({ kind, weight }) => [kind, weight])).toEqual([
    ['influence-model', 1],
    ['dsir', 0.5],
    ['classifier', 2],
  ]);
  const job = tiny.job(1);
  const { probeable: holdOutRows } = await holdOut(tiny.run, corpus, plan);
  const learned = new Set(await classifierSample(job, corpus, plan));
  expect(learned.size).toBe(Math.ceil(holdOutRows.length / 2));
  const labelled = new Set((await readProbes(job, plan)).map(({ row }) => row));
  const others = [...holdOutRows].filter((row) => !learned.has(row) && !labelled.has(row));
  const alone = await classifierScorer(job, corpus, plan);
  const part = record.parts[2]!;
  const { mean, std } = standardise(Array.from(await alone.utilities(others)));
  expect([part.mean, part.std]).toEqual([expect.closeTo(mean, 9), expect.closeTo(std, 9)]);

  const together = await openScorer(job, corpus, plan, record);
  const rows = [7, 8];
  const [withIt, without] = [record, { ...record, parts: record.parts.slice(0, 2) }].map(({ parts }) =>
    openScorer(job, corpus, plan, { ...record, parts, std: 1 }),
  );
  const [a, b] = [await (await withIt!).utilities(rows), await (await without!).utilities(rows)];
  const own = await alone.utilities(rows);
  const whole = await together.utilities(rows);
  rows.forEach((_, i) => {
    expect(a[i]! - b[i]!).toBeCloseTo((2 * (own[i]! - part.mean)) / part.std, 6);
    expect(whole[i]! * record.std).toBeCloseTo(a[i]!, 6);
  });
});

describe('DSIR', () => {
  const bare = (over: Over) => probed({ ...over, influenceModel: { architecture: 'ngram' } });

  it("alone competes by log weight + Gumbel, as in the paper, whatever the run's temperature", async () => {
    const tiny = await TinyRun.create(tinyConfig({ selection: { method: 'dsir', temperature: 0.25 } }));
    await tiny.prepare();
    await tiny.stage(0);
    const plan = await tiny.plan(1);
    expect(plan).toMatchObject({ scored: true, probes: 0 });
    await fitStage(tiny);
    const corpus = await openRunCorpus(tiny.run);
    const scorer = await openScorer(tiny.job(1), corpus, plan, await readScorer(tiny.store, plan));
    const rows = [0, 5, 9, 40];
    const model = await loadDsir(tiny.job(1), 1);
    const weights = Float64Array.from(await corpus.documentTexts(rows), (texts) => model.rowWeight(texts, 'sum'));
    const utilities = await scorer.utilities(rows);
    expect(utilities).toEqual(weights);
    const [item] = scoreItems(plan);
    await (await import('../../containers/score/index.ts')).run(tiny.job(1, { item }));
    const { recipe } = await readScoreIndex(tiny.store, stageLayout(1).score(item!.index));
    expect(recipe).toMatchObject({ temperature: 1, gumbel: 'exact' });
  });

  it('beside another score adds its z-score', async () => {
    const tiny = await bare({ selection: { dsirWeight: 0.5 } });
    const { plan, record, corpus } = await fittedScorer(tiny);
    expect(record.parts.map(({ kind, weight }) => [kind, weight])).toEqual([
      ['influence-model', 1],
      ['dsir', 0.5],
    ]);
    const scorer = await openScorer(tiny.job(1), corpus, plan, record);
    const [model, dsir] = record.parts;
    // Its scale is that of rows that the influence model has not been fitted to.
    const labelled = new Set((await readProbes(tiny.job(1), plan)).map(({ row }) => row));
    const others = [...(await holdOut(tiny.run, corpus, plan)).probeable].filter((row) => !labelled.has(row));
    const predicted = await (await loadPredictorOf(tiny.job(1), corpus, 1, 8)).predict(others);
    const { mean, std } = standardise(Array.from(predicted, (influence) => -influence));
    expect(model!.mean).toBeCloseTo(mean, 9);
    expect(model!.std).toBeCloseTo(std, 9);
    const [row] = [7];
    const influence = await (await loadPredictorOf(tiny.job(1), corpus, 1, 8)).predict([row]);
    const [texts] = await corpus.documentTexts([row]);
    const weight = (await loadDsir(tiny.job(1), 1)).rowWeight(texts!, 'sum');
    const parts = (-influence[0]! - model!.mean) / model!.std + (0.5 * (weight - dsir!.mean)) / dsir!.std;
    expect((await scorer.utilities([row]))[0]).toBeCloseTo(parts / record.std, 6);
  });

  it('stands in for a weak influence model', async () => {
    const tiny = await probed({ influenceModel: { architecture: 'ngram', minimumSpearman: 1, whenWeak: 'dsir' } });
    await fitStage(tiny);
    expect(await readScorer(tiny.store, { stage: 1 })).toMatchObject({
      method: 'dsir',
      parts: [{ kind: 'dsir' }],
      weak: expect.stringContaining('Spearman'),
    });
    expect(Object.keys(await filesOf(tiny.store, 'stages/1/'))).toContain('stages/1/dsir.json');
  });
});
